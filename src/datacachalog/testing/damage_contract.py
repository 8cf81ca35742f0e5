"""What every cache promises of entries that somebody, or a disk, has damaged."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from datacachalog.domain.uri import Uri
from datacachalog.testing.payloads import RecordedTransfer
from datacachalog.testing.sources import (
    NOON,
    SECOND,
    SOURCE,
    CacheFixtures,
    described,
    publish,
    source,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datacachalog.ports import CachePort


def _truncate(path: Path) -> None:
    path.chmod(0o644)
    os.truncate(path, 1)


def _empty(path: Path) -> None:
    path.chmod(0o644)
    os.truncate(path, 0)


def _extend(path: Path) -> None:
    path.chmod(0o644)
    with path.open("ab") as file:
        file.write(b"more")


def _edit(path: Path) -> None:
    path.chmod(0o644)
    later = path.stat().st_mtime_ns + 1_000_000
    path.write_bytes(b"FIRST")
    os.utime(path, ns=(later, later))  # file systems with coarse clocks would not tell it so soon


def _remove(path: Path) -> None:
    path.unlink()


def _turn_into_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _flip_a_bit(path: Path) -> None:
    """As a bad disk does: neither the size nor the time tells of it."""
    path.chmod(0o644)
    status = path.stat()
    with path.open("r+b") as file:
        file.write(b"F")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


damaged = pytest.mark.parametrize(
    "damage", [_truncate, _empty, _extend, _edit, _remove, _turn_into_a_folder]
)
damaged_in_any_way = pytest.mark.parametrize(
    "damage", [_truncate, _empty, _extend, _edit, _remove, _turn_into_a_folder, _flip_a_bit]
)


class DamageContract(CacheFixtures):
    """Damage is a miss where a look tells it, and `remove_damaged` finds all the rest."""

    @damaged
    def test_a_damaged_entry_is_a_miss(
        self, cache: CachePort, damage: Callable[[Path], None]
    ) -> None:
        entry = publish(cache, b"first", info=described(b"first", version="v1"))

        damage(entry.path)

        assert None is cache.current(*SOURCE)
        assert None is cache.find(*SOURCE, "v1")
        assert None is cache.holding(*SOURCE, entry.digest)
        assert not list(cache.entries())
        assert None is cache.confirm(entry, NOON + SECOND)

    @damaged
    def test_a_damaged_entry_is_told_from_none(
        self, cache: CachePort, damage: Callable[[Path], None]
    ) -> None:
        assert not cache.has_lost(*SOURCE)
        entry = publish(cache, b"first")
        assert not cache.has_lost(*SOURCE)

        damage(entry.path)

        assert cache.has_lost(*SOURCE)
        cache.remove_damaged(*SOURCE)
        assert cache.has_lost(*SOURCE)
        cache.forget(*SOURCE)
        assert not cache.has_lost(*SOURCE)

    @damaged
    def test_a_damaged_entry_is_healed_by_publishing_it_again(
        self, cache: CachePort, damage: Callable[[Path], None]
    ) -> None:
        damage(publish(cache, b"first").path)

        entry = publish(cache, b"first", at=NOON + SECOND)

        assert b"first" == entry.path.read_bytes()
        assert entry == cache.current(*SOURCE)
        assert [entry.path] == [found.path for found in cache.entries()]

    @damaged
    def test_a_damaged_entry_harms_no_other(
        self, cache: CachePort, damage: Callable[[Path], None]
    ) -> None:
        other = source(Uri("s3", "lake", "b"))
        kept = publish(cache, b"kept", into=other)

        damage(publish(cache, b"first").path)

        assert kept == cache.current(*other)

    @damaged_in_any_way
    def test_damage_is_found_by_reading_the_bytes(
        self, cache: CachePort, damage: Callable[[Path], None]
    ) -> None:
        kept = publish(cache, b"other")
        path = publish(cache, b"first", at=NOON + SECOND).path
        damage(path)

        found = cache.remove_damaged(*SOURCE)

        assert (path.parent,) == tuple(one.parent for one in found)
        assert not path.exists()
        assert [kept.path] == [entry.path for entry in cache.entries()]
        assert None is cache.current(*SOURCE)

    def test_damage_elsewhere_leaves_the_current_entry(self, cache: CachePort) -> None:
        _flip_a_bit(publish(cache, b"first").path)
        kept = publish(cache, b"other", at=NOON + SECOND)

        assert 1 == len(cache.remove_damaged(*SOURCE))

        assert kept == cache.current(*SOURCE)

    @damaged_in_any_way
    def test_what_was_damaged_can_be_published_again(
        self, cache: CachePort, damage: Callable[[Path], None]
    ) -> None:
        damage(publish(cache, b"first").path)
        cache.remove_damaged(*SOURCE)

        entry = publish(cache, b"first", at=NOON + SECOND)

        assert b"first" == entry.path.read_bytes()
        assert () == cache.remove_damaged(*SOURCE)

    def test_what_is_whole_stays(self, cache: CachePort) -> None:
        entries = [publish(cache, b"1"), publish(cache, b"2", at=NOON + SECOND)]

        assert () == cache.remove_damaged(*SOURCE)

        assert {e.path for e in entries} == {entry.path for entry in cache.entries()}
        assert entries[1] == cache.current(*SOURCE)

    def test_progress_hears_of_every_byte_that_is_read(self, cache: CachePort) -> None:
        _flip_a_bit(publish(cache, b"first").path)
        publish(cache, b"1" * (3 << 20), at=NOON + SECOND)
        heard = RecordedTransfer()

        cache.remove_damaged(*SOURCE, progress=heard)

        assert [(3 << 20) + 5] == heard.totals
        assert heard.totals == [heard.moved_bytes]
        assert not heard.moved_before_total

    def test_nothing_is_damaged_where_nothing_is(self, cache: CachePort) -> None:
        heard = RecordedTransfer()

        assert () == cache.remove_damaged(*SOURCE, progress=heard)

        assert [] == heard.totals

    def test_the_damage_of_other_sources_is_left_to_them(self, cache: CachePort) -> None:
        path = publish(cache, b"first", into=source(Uri("s3", "lake", "b"))).path
        _flip_a_bit(path)

        assert () == cache.remove_damaged(*SOURCE)

        assert path.exists()

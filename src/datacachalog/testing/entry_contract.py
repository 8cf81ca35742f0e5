"""What every cache promises of its entries: which is the current one, and what is a miss."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from datacachalog.domain.uri import Uri
from datacachalog.testing.payloads import at_once, digest_of
from datacachalog.testing.sources import (
    NOON,
    SECOND,
    SOURCE,
    URI,
    CacheFixtures,
    described,
    publish,
    source,
)

if TYPE_CHECKING:
    from datacachalog.domain.objects import CacheEntry
    from datacachalog.ports import CachePort


class EntryContract(CacheFixtures):
    """`current`, `find`, `confirm`, `forget`, `entries` and `clear` of what is not damaged."""

    def test_an_empty_cache_has_nothing(self, cache: CachePort) -> None:
        assert None is cache.current(*SOURCE)
        assert None is cache.find(*SOURCE, "v1")
        assert not list(cache.entries())

    def test_a_revision_is_kept_once(self, cache: CachePort) -> None:
        first = publish(cache, b"first")
        again = publish(cache, b"first", at=NOON + SECOND)

        assert first.path == again.path
        assert (first.digest, first.mtime_ns) == (again.digest, again.mtime_ns)
        assert 1 == len(list(cache.entries()))

    def test_bytes_of_which_a_store_tells_the_same_are_both_kept(self, cache: CachePort) -> None:
        first = publish(cache, b"first")
        other = publish(cache, b"other", info=described(b"first"), at=NOON + SECOND)

        assert (b"first", b"other") == (first.path.read_bytes(), other.path.read_bytes())
        assert other == cache.current(*SOURCE)
        assert 2 == len(list(cache.entries()))

    def test_a_revision_that_comes_again_is_confirmed(self, cache: CachePort) -> None:
        publish(cache, b"first")

        again = publish(cache, b"first", at=NOON + SECOND)

        assert again == cache.current(*SOURCE)
        assert NOON + SECOND == again.checked_at

    def test_a_path_never_changes_under_its_reader(self, cache: CachePort) -> None:
        old = publish(cache, b"old")
        with old.path.open("rb") as reader:
            new = publish(cache, b"newer", at=NOON + SECOND)

            assert b"old" == reader.read()
        assert (b"old", b"newer") == (old.path.read_bytes(), new.path.read_bytes())
        assert new == cache.current(*SOURCE)

    def test_an_entry_need_not_become_the_current_one(self, cache: CachePort) -> None:
        now = publish(cache, b"now")

        old = publish(cache, b"old", at=NOON + SECOND, current=False)

        assert now == cache.current(*SOURCE)
        assert b"old" == old.path.read_bytes()
        assert {now.path, old.path} == {entry.path for entry in cache.entries()}

    def test_an_entry_that_is_not_current_makes_none(self, cache: CachePort) -> None:
        publish(cache, b"old", current=False)

        assert None is cache.current(*SOURCE)

    def test_a_slow_download_does_not_undo_a_later_one(self, cache: CachePort) -> None:
        new = publish(cache, b"new", at=NOON + SECOND)

        old = publish(cache, b"old", at=NOON)

        assert new == cache.current(*SOURCE)
        assert b"old" == old.path.read_bytes()

    def test_of_two_at_the_same_time_the_last_one_counts(self, cache: CachePort) -> None:
        publish(cache, b"one")

        two = publish(cache, b"two")

        assert two == cache.current(*SOURCE)

    def test_a_confirmation_is_remembered(self, cache: CachePort) -> None:
        entry = publish(cache, b"1")

        confirmed = cache.confirm(entry, NOON + 90 * SECOND)

        assert confirmed is not None
        assert NOON + 90 * SECOND == confirmed.checked_at
        assert entry.path == confirmed.path
        assert confirmed == cache.current(*SOURCE)

    def test_a_confirmed_entry_becomes_the_current_one(self, cache: CachePort) -> None:
        old = publish(cache, b"old")
        publish(cache, b"new", at=NOON + SECOND)

        confirmed = cache.confirm(old, NOON + 2 * SECOND)

        assert confirmed == cache.current(*SOURCE)
        assert confirmed is not None
        assert old.path == confirmed.path

    def test_a_slow_confirmation_does_not_undo_a_later_one(self, cache: CachePort) -> None:
        old = publish(cache, b"old")
        new = publish(cache, b"new", at=NOON + 2 * SECOND)

        cache.confirm(old, NOON + SECOND)

        assert new == cache.current(*SOURCE)

    def test_what_is_gone_cannot_be_confirmed(self, cache: CachePort) -> None:
        entry = publish(cache, b"1")
        cache.clear()

        assert None is cache.confirm(entry, NOON + SECOND)
        assert None is cache.current(*SOURCE)

    def test_many_threads_confirm_one_entry(self, cache: CachePort) -> None:
        entry = publish(cache, b"1")

        at_once(8, lambda number: cache.confirm(entry, NOON + number * SECOND))

        found = cache.current(*SOURCE)
        assert found is not None
        assert entry.path == found.path

    def test_an_entry_is_found_by_its_version(self, cache: CachePort) -> None:
        for number in (1, 2, 3):
            data = f"bytes of v{number}".encode()
            publish(cache, data, info=described(data, version=f"v{number}"), current=number == 1)

        found = cache.find(*SOURCE, "v2")

        assert found is not None
        assert b"bytes of v2" == found.path.read_bytes()
        assert None is cache.find(*SOURCE, "v4")

    def test_a_version_of_another_source_is_not_found(self, cache: CachePort) -> None:
        publish(cache, b"1", info=described(b"1", version="v1"))

        assert None is cache.find(*source(URI, "https://elsewhere.example"), "v1")

    def test_an_entry_is_found_by_its_bytes(self, cache: CachePort) -> None:
        for number in (1, 2, 3):
            publish(cache, f"bytes {number}".encode(), current=number == 1)

        found = [cache.holding(*SOURCE, digest_of(b"bytes %d" % number)) for number in (1, 2, 4)]

        assert [b"bytes 1", b"bytes 2", None] == [one and one.path.read_bytes() for one in found]

    def test_bytes_of_another_source_are_not_found(self, cache: CachePort) -> None:
        publish(cache, b"1")

        assert None is cache.holding(*source(URI, "https://elsewhere.example"), digest_of(b"1"))

    def test_versions_of_the_same_bytes_are_told_apart(self, cache: CachePort) -> None:
        first = publish(cache, b"1", info=described(b"1", version="v1"))
        second = publish(cache, b"1", info=described(b"1", version="v2"), at=NOON + SECOND)

        assert first.revision_id != second.revision_id
        assert first.path != second.path

    @pytest.mark.parametrize("etag", [None, 'W/"1"'])
    def test_bytes_that_their_store_cannot_tell_apart_are_told_apart(
        self, cache: CachePort, etag: str | None
    ) -> None:
        one = publish(cache, b"1", info=replace(described(b"1"), etag=etag))
        two = publish(cache, b"2", info=replace(described(b"2"), etag=etag), at=NOON + SECOND)

        assert (b"1", b"2") == (one.path.read_bytes(), two.path.read_bytes())
        assert two == cache.current(*SOURCE)

    def test_what_is_forgotten_is_not_current(self, cache: CachePort) -> None:
        entry = publish(cache, b"1")

        assert cache.forget(*SOURCE)
        assert not cache.forget(*SOURCE)
        assert None is cache.current(*SOURCE)
        assert b"1" == entry.path.read_bytes()

    def test_a_forgotten_entry_can_come_back(self, cache: CachePort) -> None:
        publish(cache, b"1")
        cache.forget(*SOURCE)

        entry = publish(cache, b"1", at=NOON - SECOND)

        assert entry == cache.current(*SOURCE)

    def test_nothing_is_forgotten_of_other_sources(self, cache: CachePort) -> None:
        other = source(URI, "https://elsewhere.example")
        entry = publish(cache, b"1")

        assert not cache.forget(*other)
        assert entry == cache.current(*SOURCE)

    def test_entries_of_every_source_are_told(self, cache: CachePort) -> None:
        paths = {
            publish(cache, b"1").path,
            publish(cache, b"22", at=NOON + SECOND).path,
            publish(cache, b"1", into=source(Uri("s3", "lake", "b"))).path,
        }

        assert paths == {entry.path for entry in cache.entries()}

    def test_a_cleared_cache_is_empty(self, cache: CachePort) -> None:
        paths = [publish(cache, b"x" * 1000).path, publish(cache, b"y" * 2000).path]

        freed = cache.clear()

        assert 3000 <= freed
        assert None is cache.current(*SOURCE)
        assert not list(cache.entries())
        assert [] == [path for path in paths if path.exists()]
        assert 0 == cache.clear()

    def test_a_cleared_cache_can_be_filled_again(self, cache: CachePort) -> None:
        publish(cache, b"1")
        cache.clear()

        entry = publish(cache, b"1", at=NOON - SECOND)

        assert entry == cache.current(*SOURCE)
        assert b"1" == entry.path.read_bytes()

    def test_sources_of_the_same_name_never_mix(self, cache: CachePort) -> None:
        sources = [
            source(URI),
            source(URI, "https://elsewhere.example"),
            source(Uri("s3", "bay", URI.path)),
            source(Uri("s3", "lake", f"copies/{URI.name}")),
            source(Uri("s3", "lake", URI.path.upper())),
        ]
        for number, into in enumerate(sources):
            # Other bytes under the same validators, as two stores may well have them.
            publish(cache, str(number).encode(), info=described(b"0", into[1]), into=into)

        found = [cache.current(*into) for into in sources]

        assert [b"0", b"1", b"2", b"3", b"4"] == [e.path.read_bytes() for e in found if e]

    def test_everybody_sees_the_same_entries(self, cache: CachePort, again: CachePort) -> None:
        published: list[CacheEntry] = [publish(cache, b"1")]
        assert published[0] == again.current(*SOURCE)

        published.append(publish(again, b"2", at=NOON + SECOND))

        assert published[1] == cache.current(*SOURCE)
        assert {e.path for e in published} == {entry.path for entry in cache.entries()}

    def test_everybody_sees_a_confirmation(self, cache: CachePort, again: CachePort) -> None:
        entry = publish(cache, b"1")
        again.current(*SOURCE)

        confirmed = cache.confirm(entry, NOON + SECOND)

        assert confirmed == again.current(*SOURCE)

    def test_everybody_sees_what_is_forgotten(self, cache: CachePort, again: CachePort) -> None:
        publish(cache, b"1")
        again.current(*SOURCE)

        cache.forget(*SOURCE)

        assert None is again.current(*SOURCE)

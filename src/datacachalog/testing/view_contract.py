"""The contract of `ViewPort`, as tests that every view passes; only a folder is one today."""

from __future__ import annotations

import threading
from itertools import cycle, islice
from typing import TYPE_CHECKING

import pytest

from datacachalog.domain.errors import ViewError
from datacachalog.testing.payloads import at_once, payload, seed_of
from datacachalog.testing.sources import NOON, SECOND, publish

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datacachalog.domain.objects import CacheEntry
    from datacachalog.ports import CachePort, ViewPort

_NAME = "customers.parquet"


def _a_file(place: Path, _elsewhere: Path) -> None:
    place.write_bytes(b"mine")


def _a_folder(place: Path, _elsewhere: Path) -> None:
    place.mkdir()
    (place / "notes.txt").write_bytes(b"mine")


def _a_link_elsewhere(place: Path, elsewhere: Path) -> None:
    elsewhere.write_bytes(b"mine")
    place.symlink_to(elsewhere)


def _a_link_to_nothing(place: Path, elsewhere: Path) -> None:
    place.symlink_to(elsewhere)


def _seen(place: Path) -> tuple[object, ...]:
    inside = sorted(one.name for one in place.iterdir()) if place.is_dir() else []
    link = place.readlink() if place.is_symlink() else None
    return (link, inside, place.read_bytes() if place.is_file() else None, place.lstat().st_ino)


class ViewContract:
    """Every sentence of `ViewPort`; subclasses override `view`, `place` and `cache`."""

    @pytest.fixture
    def view(self) -> ViewPort:
        """The view under test, with nothing in it; its folder need not be there."""
        raise NotImplementedError("override the fixture 'view'")

    @pytest.fixture
    def place(self) -> Callable[[str], Path]:
        """Where people find a name."""
        raise NotImplementedError("override the fixture 'place'")

    @pytest.fixture
    def cache(self) -> CachePort:
        """The cache that the view shows, empty."""
        raise NotImplementedError("override the fixture 'cache'")

    @pytest.fixture
    def entries(self, cache: CachePort) -> list[CacheEntry]:
        """Three revisions of one source."""
        return [publish(cache, payload(n, 5000), at=NOON + n * SECOND) for n in range(3)]

    def test_a_name_leads_to_the_copy(
        self, view: ViewPort, place: Callable[[str], Path], entries: list[CacheEntry]
    ) -> None:
        assert view.show(_NAME, entries[0].path)

        assert 0 == seed_of(place(_NAME).read_bytes())
        assert entries[0].path == place(_NAME).resolve()

    def test_what_it_leads_to_already_is_left_so(
        self, view: ViewPort, place: Callable[[str], Path], entries: list[CacheEntry]
    ) -> None:
        view.show(_NAME, entries[0].path)
        before = place(_NAME).lstat()

        assert not view.show(_NAME, entries[0].path)

        assert before == place(_NAME).lstat()

    def test_a_name_follows_from_copy_to_copy(
        self, view: ViewPort, place: Callable[[str], Path], entries: list[CacheEntry]
    ) -> None:
        for number in (0, 1, 2, 0):
            assert view.show(_NAME, entries[number].path)
            assert number == seed_of(place(_NAME).read_bytes())

    def test_names_are_apart(
        self, view: ViewPort, place: Callable[[str], Path], entries: list[CacheEntry]
    ) -> None:
        for number, entry in enumerate(entries):
            view.show(f"d{number}.csv", entry.path)

        assert [0, 1, 2] == [seed_of(place(f"d{n}.csv").read_bytes()) for n in range(3)]

    def test_a_link_to_a_copy_that_is_gone_is_mended(
        self, view: ViewPort, place: Callable[[str], Path], cache: CachePort
    ) -> None:
        view.show(_NAME, publish(cache, b"first").path)
        cache.clear()
        assert not place(_NAME).exists()

        assert view.show(_NAME, publish(cache, b"second").path)

        assert b"second" == place(_NAME).read_bytes()

    @pytest.mark.parametrize("put", [_a_file, _a_folder, _a_link_elsewhere, _a_link_to_nothing])
    def test_what_is_not_the_views_stays_as_it_is(
        self,
        view: ViewPort,
        place: Callable[[str], Path],
        entries: list[CacheEntry],
        tmp_path: Path,
        put: Callable[[Path, Path], None],
    ) -> None:
        view.show("other.csv", entries[0].path)
        put(place(_NAME), tmp_path / "elsewhere.csv")
        before = _seen(place(_NAME))

        with pytest.raises(ViewError) as caught:
            view.show(_NAME, entries[1].path)

        assert str(place(_NAME)) == caught.value.path
        assert before == _seen(place(_NAME))

    def test_many_that_show_at_once_leave_one_of_theirs(
        self, view: ViewPort, place: Callable[[str], Path], entries: list[CacheEntry]
    ) -> None:
        at_once(12, lambda number: view.show(_NAME, entries[number % 3].path))

        assert seed_of(place(_NAME).read_bytes()) in {0, 1, 2}

    def test_a_reader_finds_whole_bytes_while_a_name_changes(
        self, view: ViewPort, place: Callable[[str], Path], entries: list[CacheEntry]
    ) -> None:
        view.show(_NAME, entries[0].path)
        is_done = threading.Event()

        def swap() -> None:
            for entry in islice(cycle(entries), 500):
                view.show(_NAME, entry.path)
            is_done.set()

        swapping = threading.Thread(target=swap)
        swapping.start()
        seen = set()
        while not is_done.is_set():
            seen.add(seed_of(place(_NAME).read_bytes()))
        swapping.join()

        assert seen <= {0, 1, 2}

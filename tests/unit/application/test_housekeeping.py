"""What fetches and pushes leave in a bounded cache, and what `gc` removes."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from datacachalog import CacheSizeWarning, Outcome
from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.cache.owners import disowned_name
from datacachalog.application.catalog import CoreCatalog
from datacachalog.domain.dataset import Dataset
from datacachalog.domain.errors import CacheError, CacheFullError
from datacachalog.domain.housekeeping import GRACE, NO_BOUNDS, Bounds, Space
from datacachalog.domain.sizes import MinFree
from datacachalog.domain.uri import Uri
from tests.unit.application.world import HOUR, ORDERS, ManualClock

if TYPE_CHECKING:
    from datacachalog.domain.objects import CacheEntry

NAMES = [f"d{number}" for number in range(6)]
DAY = timedelta(days=1)


def uri_of(name):
    return Uri("mem", "lake", f"{name}.csv")


@pytest.fixture
def many(storage, cache, clock):
    """Makes a catalog of six datasets of 10 bytes each, and `orders`."""
    for name in NAMES:
        storage.put(uri_of(name), name.encode().rjust(10))

    def make(bounds=NO_BOUNDS, cache=cache, clock=clock):
        datasets = [Dataset(name, uri_of(name)) for name in NAMES]
        return CoreCatalog(
            [*datasets, Dataset("orders", ORDERS)],
            storage=storage,
            cache=cache,
            clock=clock,
            bounds=bounds,
        )

    return make


def forgotten(cache):
    """Has the cache take everything that was handed out for another, dead process's."""
    usages = cache.usages
    cache.usages = lambda: (replace(one, is_ours=False) for one in usages())


class Later(ManualClock):
    """Now, and any time later: the directory cache tells the machine's own time."""

    def __init__(self, now):
        self.now = now


@pytest.fixture
def today():
    return Later(datetime.now(UTC))


class TestBounds:
    def test_without_bounds_all_stays(self, many, cache):
        catalog = many()

        for name in NAMES:
            catalog.fetch(name)

        assert 60 == cache.size_bytes()

    def test_after_a_fetch_the_least_recently_used_go(self, many, cache, today):
        catalog = many(Bounds(25, MinFree()), clock=today)
        paths = {}

        for name in NAMES:
            paths[name] = catalog.fetch(name)
            assert paths[name].exists()
            assert cache.size_bytes() <= 25

        assert NAMES[-2:] == [name for name in NAMES if paths[name].exists()]

    def test_what_went_is_fetched_again(self, many, today):
        catalog = many(Bounds(10, MinFree()), clock=today)
        path = catalog.fetch("d0")
        catalog.fetch("d1")
        assert not path.exists()

        fetched = catalog.obtain("d0")

        assert (Outcome.DOWNLOADED, path) == (fetched.outcome, fetched.path)
        assert b"        d0" == path.read_bytes()

    def test_what_was_interrupted_goes_before_what_is_whole(self, many, tmp_path, today):
        cache = DirectoryCache(tmp_path / "cache")
        catalog = many(Bounds(25, MinFree()), cache=cache, clock=today)
        first = catalog.fetch("d0")
        interrupted = cache.partial / f"{'0' * 12}@{disowned_name()}"
        interrupted.mkdir()
        for name in ("d1.csv", "d1.csv.journal"):
            (interrupted / name).write_bytes(bytes(10))

        assert 20 == catalog.gc(dry_run=True, max_size=25).swept_bytes
        assert interrupted.exists()
        catalog.fetch("d2")

        assert not interrupted.exists()
        assert first.exists()

    def test_what_is_larger_than_the_bound_is_served_all_the_same(self, many, today):
        catalog = many(Bounds(5, MinFree()), clock=today)

        with pytest.warns(CacheSizeWarning, match=r"takes 10 B, more than max_size \(5 B\)"):
            path = catalog.fetch("d1")

        assert path.exists()

    @pytest.mark.parametrize(
        "bring",
        [
            lambda catalog, _: catalog.fetch("d1"),
            lambda catalog, _: catalog.obtain("d1"),
            lambda catalog, _: catalog.files("d1"),
            lambda catalog, _: catalog.fetch_all(["d1"]),
            lambda catalog, _: catalog.pinned("d1").__enter__(),
            lambda catalog, file: catalog.push("d1", file, expect="any"),
        ],
    )
    def test_the_warning_points_at_whoever_brought_it(self, many, today, tmp_path, bring):
        file = tmp_path / "new.csv"
        file.write_bytes(b"longer")
        catalog = many(Bounds(5, MinFree()), clock=today)

        with pytest.warns(CacheSizeWarning) as told:
            bring(catalog, file)

        assert [__file__] == [one.filename for one in told]

    def test_old_revisions_go_for_a_new_one(self, many, storage, cache, today):
        catalog = many(Bounds(12, MinFree()), clock=today)
        for number in range(9):
            storage.put(ORDERS, f"revision {number}".encode())

            path = catalog.fetch("orders")

            assert f"revision {number}" == path.read_text()
            assert cache.size_bytes() <= 12

    def test_a_push_keeps_the_bound_too(self, many, cache, today, tmp_path):
        catalog = many(Bounds(15, MinFree()), clock=today)
        for name in NAMES[:2]:
            catalog.fetch(name)
        mine = tmp_path / "mine.csv"
        mine.write_bytes(b"0123456789")

        pushed = catalog.push("orders", mine, expect="any")

        assert pushed.path.exists()
        assert 10 == cache.size_bytes()

    def test_all_of_one_call_are_there_when_it_returns(self, many, cache, today):
        catalog = many(Bounds(25, MinFree()), clock=today)

        with pytest.warns(CacheSizeWarning):
            paths = catalog.fetch_all(NAMES)

        assert all(path.exists() for path in paths.values())
        catalog.fetch("orders")
        assert cache.size_bytes() <= 25

    def test_a_reader_that_pins_is_not_disturbed(self, many, today):
        catalog = many(Bounds(20, MinFree()), clock=today)

        with catalog.pinned("d0") as path:
            for name in NAMES[1:]:
                catalog.fetch(name)
                assert b"        d0" == path.read_bytes()

        catalog.fetch("orders")
        catalog.fetch("d1")
        assert not path.exists()

    def test_the_disk_keeps_free_what_it_must(self, many, cache, today, monkeypatch):
        catalog = many(Bounds(min_free=MinFree(30)), clock=today)
        for name in NAMES[:4]:
            catalog.fetch(name)
        forgotten(cache)
        monkeypatch.setattr(cache, "space", lambda: Space(15, 1000))

        today.go_on(GRACE / 2)
        assert catalog.fetch("d4").exists()
        assert 50 == cache.size_bytes()  # all of it was just used

        today.go_on(GRACE)
        assert catalog.fetch("d5").exists()
        assert {"d2", "d3", "d4", "d5"} == {e.info.uri.name[:2] for e in cache.entries()}

    def test_what_cannot_go_for_the_disk_is_not_looked_for_at_once_again(
        self, many, cache, today, monkeypatch
    ):
        looks: list[int] = []
        usages = cache.usages

        def looked_at():
            looks.append(1)
            return usages()

        monkeypatch.setattr(cache, "usages", looked_at)
        monkeypatch.setattr(cache, "space", lambda: Space(0, 1000))
        catalog = many(Bounds(), clock=today)

        for name in NAMES[:3]:
            catalog.fetch(name)
        assert 1 == len(looks)

        today.go_on(timedelta(minutes=2))
        catalog.fetch("d4")
        assert 2 == len(looks)


class TestAFullDisk:
    @pytest.fixture
    def full(self, storage, monkeypatch):
        """A store whose downloads find the disk full as often as told."""
        left, download = [0], storage.download

        def fail(*args, **options):
            if left[0]:
                left[0] -= 1
                raise CacheFullError("/cache", "No space left on device")
            return download(*args, **options)

        monkeypatch.setattr(storage, "download", fail)
        return left

    def test_room_is_made_once_by_removing_what_is_superseded(
        self, many, storage, cache, today, full
    ):
        catalog = many(clock=today)
        old = catalog.obtain("orders").entry
        storage.put(ORDERS, b"second")
        catalog.fetch("orders")
        forgotten(cache)
        full[0] = 1

        path = catalog.fetch("d0")

        assert b"        d0" == path.read_bytes()
        assert not old.path.exists()

    def test_where_nothing_can_go_it_is_an_error(self, many, today, full):
        catalog = many(clock=today)
        catalog.fetch("orders")
        full[0] = 1

        with pytest.raises(CacheFullError):
            catalog.fetch("d0")

    def test_it_is_tried_again_only_once(self, many, storage, cache, today, full):
        catalog = many(clock=today)
        catalog.fetch("orders")
        storage.put(ORDERS, b"second")
        catalog.fetch("orders")
        forgotten(cache)
        full[0] = 2

        with pytest.raises(CacheFullError):
            catalog.fetch("d0")


class TestHandingOut:
    def test_what_is_removed_in_between_is_fetched_again(self, many, cache, monkeypatch):
        catalog, hold = many(), cache.hold
        gone: list[CacheEntry] = []

        def removed_first(entry):
            if not gone:
                gone.append(entry)
                cache.remove([entry])
            return hold(entry)

        monkeypatch.setattr(cache, "hold", removed_first)

        assert catalog.fetch("d0").exists()
        assert gone

    def test_who_always_finds_it_gone_is_told(self, many, cache, monkeypatch):
        monkeypatch.setattr(cache, "hold", lambda entry: False)

        with pytest.raises(CacheError, match="another process keeps removing it"):
            many().fetch("d0")

    def test_a_pin_that_came_too_late_is_set_anew(self, many, cache, monkeypatch):
        pinned: list[CacheEntry] = []
        pin = cache.pin

        def removed_first(entry):
            if not pinned:
                cache.remove([entry])
            pinned.append(entry)
            return pin(entry)

        monkeypatch.setattr(cache, "pin", removed_first)

        with many().pinned("d0") as path:
            assert path.exists()
        assert 2 == len(pinned)

    def test_a_pin_takes_the_options_of_a_fetch(self, versioned, a_catalog):
        catalog = a_catalog(storage=versioned)
        versioned.put(ORDERS, b"second")

        with catalog.pinned("orders", version="v1") as path:
            assert b"first" == path.read_bytes()


class TestGc:
    @pytest.fixture
    def two(self, many, storage, cache, today):
        """Two revisions of `orders`, which a process had that is dead now."""
        catalog = many(clock=today)
        old = catalog.obtain("orders").entry
        storage.put(ORDERS, b"second")
        new = catalog.obtain("orders").entry
        forgotten(cache)
        return catalog, old, new

    def test_what_is_superseded_goes(self, two, cache):
        catalog, old, new = two

        found = catalog.gc()

        assert [old.path] == [entry.path for entry in found.removed]
        assert (5, 6, 0) == (found.freed_bytes, found.kept_bytes, found.swept_bytes)
        assert (False, True) == (old.path.exists(), new.path.exists())

    def test_a_dry_run_removes_nothing(self, two):
        catalog, old, _ = two

        found = catalog.gc(dry_run=True)

        assert [old.path] == [entry.path for entry in found.removed]
        assert (5, 6) == (found.freed_bytes, found.kept_bytes)
        assert old.path.exists()

    def test_what_was_not_used_for_long_goes(self, two, cache, today):
        catalog, old, new = two
        today.go_on(31 * DAY)

        assert () == catalog.gc(older_than=32 * DAY).removed
        found = catalog.gc(older_than=30 * DAY)

        assert {old.path, new.path} == {entry.path for entry in found.removed}

    def test_a_size_may_be_given_once(self, two, today):
        catalog, old, new = two

        assert [old.path] == [entry.path for entry in catalog.gc(max_size="6B").removed]
        assert () == catalog.gc(max_size=0).removed
        today.go_on(2 * HOUR)
        assert [new.path] == [entry.path for entry in catalog.gc(max_size=5).removed]

    def test_what_is_no_size_is_refused(self, two):
        with pytest.raises(ValueError, match="must be a size"):
            two[0].gc(max_size="much")

    def test_the_catalogs_own_bounds_hold(self, many, two, today):
        _, old, new = two
        today.go_on(2 * HOUR)

        found = many(Bounds(0, MinFree()), clock=today).gc()

        assert {old.path, new.path} == {entry.path for entry in found.removed}

    def test_what_this_process_has_stays(self, many, storage, today):
        catalog = many(clock=today)
        old = catalog.fetch("orders")
        storage.put(ORDERS, b"second")
        catalog.fetch("orders")

        assert () == catalog.gc(max_size=0).removed
        assert old.exists()

    @pytest.mark.parametrize("dry_run", [False, True])
    def test_the_room_of_leftovers_counts_once(self, many, cache, today, monkeypatch, dry_run):
        catalog, left = many(Bounds(min_free=MinFree(40)), clock=today), {"bytes": 10}
        catalog.fetch_all(NAMES)
        forgotten(cache)
        today.go_on(2 * HOUR)

        def sweep(*, unfinished=False, dry_run):
            return left["bytes"] if dry_run else left.pop("bytes")

        monkeypatch.setattr(cache, "sweep", sweep)
        monkeypatch.setattr(cache, "space", lambda: Space(20 - left.get("bytes", 0), 1000))

        found = catalog.gc(dry_run=dry_run)

        assert (10, 30) == (found.swept_bytes, found.freed_bytes)

    def test_what_is_in_use_gives_no_warning(self, two):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            two[0].gc(max_size=0)


def test_a_cache_that_somebody_removed_is_empty(many, cache, today):
    catalog = many(Bounds(50), clock=today)
    catalog.fetch("d0")
    shutil.rmtree(cache.root)

    assert 0 == catalog.gc().kept_bytes

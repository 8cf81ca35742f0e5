"""Locking, and fetching what is locked: exactly these bytes or an error, whatever has happened."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from datacachalog.adapters.lockfile import LockfileOnDisk
from datacachalog.adapters.storage.memory import MemoryStorage
from datacachalog.application.catalog import CoreCatalog
from datacachalog.application.locking import Lockfile
from datacachalog.application.results import LockChange, Outcome
from datacachalog.domain.dataset import Dataset
from datacachalog.domain.errors import (
    ConflictError,
    DatasetNotFoundError,
    FetchAllError,
    IntegrityError,
    LockfileError,
    LockfileNotFoundError,
    LockMismatchError,
    ObjectNotFoundError,
    OfflineError,
    StorageAccessError,
    StorageUnavailableError,
    VersionNotFoundError,
)
from datacachalog.domain.uri import Uri
from datacachalog.testing.payloads import at_once, digest_of
from datacachalog.testing.sources import checksum_of
from tests.unit.application.world import HOUR, NOON, ORDERS, SECOND, RecordedProgress

OTHER = Uri("mem", "lake", "sales/other.csv")
DOWN = StorageUnavailableError(str(ORDERS), "connection refused")


@pytest.fixture
def lockfile(tmp_path):
    return LockfileOnDisk(tmp_path / "catalog.lock")


@pytest.fixture
def of(storage, cache, clock, lockfile):
    """Makes a catalog of datasets by their sources, with the lockfile and an empty cache."""

    def make(*, storage=storage, cache=cache, lockfile=lockfile, declared=None, **sources):
        datasets = [
            Dataset(name, source)
            if isinstance(source, Uri)
            else Dataset(name, source[0], **source[1])
            for name, source in sources.items()
        ]
        return CoreCatalog(
            datasets,
            storage=storage,
            cache=cache,
            clock=clock,
            lockfile=Lockfile(lockfile, declared or {}),
        )

    return make


@pytest.fixture
def orders(of):
    return of(orders=ORDERS)


@pytest.fixture
def moved_on(storage, cache, clock):
    """Has an hour pass, another object be put, and the cache be that of another machine."""

    def move(data=b"second", storage=storage):
        clock.go_on(HOUR)
        cache.clear()
        return storage.put(ORDERS, data)

    return move


def changes(found):
    return {one.name: one.change for one in found}


class TestLock:
    def test_a_dataset_is_fetched_and_pinned(self, orders, storage, lockfile):
        (locked,) = orders.lock()

        assert (LockChange.ADDED, None, ()) == (locked.change, locked.before, locked.differences)
        assert (str(ORDERS), 5, digest_of(b"first")) == (
            locked.after.source,
            locked.after.size_bytes,
            locked.after.digest,
        )
        assert ["download"] == storage.requests
        assert f'blake3 = "{digest_of(b"first")}"' in lockfile.read()

    def test_what_is_locked_stays_though_the_store_has_moved_on(self, orders, moved_on, lockfile):
        orders.lock()
        text = lockfile.read()
        moved_on()

        (locked,) = orders.lock()

        assert (LockChange.UNCHANGED, text) == (locked.change, lockfile.read())
        assert locked.before == locked.after is not None

    def test_what_another_locks_meanwhile_stays(self, of, storage):
        storage.put(OTHER, b"other")
        ours, theirs = of(orders=ORDERS, other=OTHER), of(orders=ORDERS, other=OTHER)
        download = storage.download

        def overtaken(*args, **options):
            storage.download = download
            theirs.lock(["other"])
            return download(*args, **options)

        storage.download = overtaken
        ours.lock(["orders"])

        assert {"orders", "other"} == {one.name for one in ours.lock(check=True)}
        assert {LockChange.UNCHANGED} == set(changes(ours.lock(check=True)).values())

    def test_what_is_locked_is_not_asked_for(self, orders, storage):
        orders.lock()
        storage.requests.clear()

        orders.lock()

        assert [] == storage.requests

    def test_a_lockfile_that_says_it_all_is_not_written_again(self, orders, lockfile, tmp_path):
        orders.lock()
        inode = (tmp_path / "catalog.lock").stat().st_ino

        orders.lock()

        assert inode == (tmp_path / "catalog.lock").stat().st_ino

    @pytest.mark.parametrize("upgrade", [True, ["orders"], {"orders": 1}])
    def test_an_upgrade_moves_to_the_current_object(self, orders, moved_on, upgrade):
        orders.lock()
        moved_on()

        (locked,) = orders.lock(upgrade=upgrade)

        assert LockChange.UPDATED is locked.change
        assert "size 5 → 6" == locked.differences[0]
        assert b"second" == orders.fetch("orders", locked=True).read_bytes()

    def test_an_upgrade_to_the_same_is_no_change(self, orders):
        orders.lock()

        assert [LockChange.UNCHANGED] == [one.change for one in orders.lock(upgrade=True)]

    def test_only_the_named_are_upgraded(self, of, storage):
        storage.put(OTHER, b"other")
        catalog = of(orders=ORDERS, other=OTHER)
        catalog.lock()
        for uri in (ORDERS, OTHER):
            storage.put(uri, b"second")

        found = catalog.lock(upgrade=["other"])

        assert {"orders": LockChange.UNCHANGED, "other": LockChange.UPDATED} == changes(found)
        assert {"other": LockChange.UNCHANGED} == changes(catalog.lock(["other"], upgrade=True))

    def test_a_fresh_copy_is_asked_about_all_the_same(self, of, storage, clock):
        catalog = of(orders=(ORDERS, {"freshness": "1d"}))
        catalog.fetch("orders")
        clock.go_on(SECOND)
        storage.put(ORDERS, b"second")

        assert 6 == catalog.lock()[0].after.size_bytes

    def test_new_datasets_are_added_and_former_ones_dropped(self, of, storage):
        storage.put(OTHER, b"other")
        of(orders=ORDERS, former=OTHER).lock()

        found = of(orders=ORDERS, other=OTHER).lock()

        assert changes(found) == {
            "former": LockChange.REMOVED,
            "orders": LockChange.UNCHANGED,
            "other": LockChange.ADDED,
        }
        assert (found[0].name, found[0].after) == ("former", None)

    def test_former_ones_stay_where_some_are_named(self, of, storage, lockfile):
        storage.put(OTHER, b"other")
        of(former=OTHER).lock()

        found = of(orders=ORDERS).lock(["orders"])

        assert {"orders": LockChange.ADDED} == changes(found)
        assert "[datasets.former]" in lockfile.read()

    def test_a_new_source_is_locked_anew(self, of, storage):
        storage.put(OTHER, b"other")
        of(orders=ORDERS).lock()

        (locked,) = of(orders=OTHER).lock()

        assert LockChange.UPDATED is locked.change
        assert f"source {ORDERS} → {OTHER}" == locked.differences[0]

    def test_the_version_that_is_current_is_locked_not_the_one_that_a_copy_came_as(
        self, of, versioned, clock
    ):
        catalog = of(storage=versioned, orders=ORDERS)
        catalog.fetch("orders")
        clock.go_on(HOUR)
        versioned.put(ORDERS, b"first")

        assert "v2" == catalog.lock()[0].after.version

    def test_one_that_is_replaced_meanwhile_is_locked_to_what_was_fetched(self, orders, storage):
        orders.fetch("orders")
        storage.before = lambda operation, _: operation == "stat" and storage.put(ORDERS, b"second")

        assert digest_of(b"first") == orders.lock()[0].after.digest

    def test_nothing_is_written_where_a_version_cannot_be_told(self, orders, storage, lockfile):
        path = orders.fetch("orders")
        storage.fail(1, DOWN, operation="stat")

        with pytest.raises(FetchAllError) as caught:
            orders.lock()

        assert ({"orders": DOWN}, {}) == (caught.value.failures, caught.value.paths)
        assert (None, path) == (lockfile.read(), orders.fetch("orders"))

    def test_nothing_is_written_where_one_fails(self, of, storage, lockfile):
        catalog = of(orders=ORDERS, other=OTHER)

        with pytest.raises(FetchAllError) as caught:
            catalog.lock()

        assert None is lockfile.read()
        assert (["other"], ["orders"]) == ([*caught.value.failures], [*caught.value.paths])

    def test_an_upgrade_that_fails_leaves_the_lock_as_it_was(self, orders, storage, lockfile):
        orders.lock()
        text = lockfile.read()
        storage.delete(ORDERS)

        with pytest.raises(FetchAllError):
            orders.lock(upgrade=True)

        assert text == lockfile.read()

    def test_undeclared_bytes_are_not_locked(self, of, lockfile):
        catalog = of(orders=(ORDERS, {"checksum": checksum_of(b"other", "sha256")}))

        with pytest.raises(FetchAllError) as caught:
            catalog.lock()

        assert isinstance(caught.value.failures["orders"], IntegrityError)
        assert None is lockfile.read()

    def test_a_stale_copy_is_not_locked(self, of, storage, lockfile):
        catalog = of(orders=ORDERS)
        catalog.fetch("orders")
        storage.fail(9, DOWN)

        with pytest.raises(FetchAllError):
            catalog.lock()

        assert None is lockfile.read()

    def test_offline_only_what_is_locked_stays(self, orders):
        orders.lock()
        orders.offline = True

        assert {"orders": LockChange.UNCHANGED} == changes(orders.lock())
        with pytest.raises(FetchAllError) as caught:
            orders.lock(upgrade=True)
        assert isinstance(caught.value.failures["orders"], OfflineError)

    def test_a_catalog_of_nothing_has_a_lockfile_of_nothing(self, of, lockfile):
        assert () == of().lock()
        assert () == of().lock(check=True)
        assert "version = 1" in lockfile.read()

    def test_sources_are_written_as_the_catalog_has_them(self, of, lockfile):
        declared = {"orders": Uri.of_path("data/orders.csv")}

        of(orders=ORDERS, declared=declared).lock()

        assert 'source = "data/orders.csv"' in lockfile.read()

    def test_transfers_are_shown(self, orders):
        progress = RecordedProgress()

        orders.lock(progress=progress)

        assert ["orders"] == [name for name, _ in progress.transfers]

    def test_of_many_at_once_one_lockfile_stays_whole(self, of, storage, lockfile):
        storage.put(OTHER, b"other")
        catalogs, texts = [of(orders=ORDERS), of(other=OTHER)], set()
        for catalog in catalogs:
            catalog.lock()
            texts.add(lockfile.read())

        at_once(8, lambda number: catalogs[number % 2].lock())

        assert lockfile.read() in texts

    def test_names_are_several_and_known(self, orders):
        with pytest.raises(TypeError, match="several"):
            orders.lock("orders")
        with pytest.raises(TypeError, match="several"):
            orders.lock(upgrade="orders")
        with pytest.raises(DatasetNotFoundError, match="'nope' is not in"):
            orders.lock(upgrade=["nope"])

    def test_a_broken_lockfile_is_not_replaced(self, orders, tmp_path):
        (tmp_path / "catalog.lock").write_text("<<<<<<< HEAD\n")

        with pytest.raises(LockfileError, match="merge conflict"):
            orders.lock(upgrade=True)

        assert "<<<<<<< HEAD\n" == (tmp_path / "catalog.lock").read_text()


class TestCheck:
    def test_nothing_is_asked_or_written(self, of, storage, lockfile):
        of(orders=ORDERS).lock()
        text = lockfile.read()
        storage.requests.clear()

        found = of(orders=OTHER, new=ORDERS).lock(check=True)

        assert {"orders": LockChange.UPDATED, "new": LockChange.ADDED} == changes(found)
        assert ([], text) == (storage.requests, lockfile.read())
        by_name = {one.name: one for one in found}
        assert (f"source {ORDERS} → {OTHER}",) == by_name["orders"].differences
        assert None is by_name["orders"].after

    def test_a_store_that_moved_on_is_no_matter(self, orders, moved_on):
        orders.lock()
        moved_on()

        assert {"orders": LockChange.UNCHANGED} == changes(orders.lock(check=True))

    def test_a_former_dataset_does_not_fit(self, of):
        of(orders=ORDERS).lock()

        assert {"orders": LockChange.REMOVED} == changes(of().lock(check=True))

    def test_without_a_lockfile_there_is_nothing_to_check(self, orders):
        with pytest.raises(LockfileNotFoundError, match=r"catalog\.lock"):
            orders.lock(check=True)

    def test_a_check_upgrades_nothing(self, orders):
        with pytest.raises(ValueError, match="without upgrade"):
            orders.lock(check=True, upgrade=True)


class TestFetchLocked:
    def test_a_cached_copy_is_served_without_asking(self, orders, storage):
        orders.lock()
        storage.requests.clear()

        fetched = orders.obtain("orders", locked=True, offline=True)

        assert (Outcome.CACHED, b"first") == (fetched.outcome, fetched.path.read_bytes())
        assert [] == storage.requests

    def test_one_that_is_not_current_any_more_is_served_too(self, orders, storage, clock):
        orders.lock()
        clock.go_on(SECOND)
        storage.put(ORDERS, b"second")
        current = orders.fetch("orders")
        storage.requests.clear()

        fetched = orders.obtain("orders", locked=True)

        assert (Outcome.CACHED, b"first") == (fetched.outcome, fetched.path.read_bytes())
        assert [] == storage.requests
        assert current == orders.fetch("orders")

    def test_an_empty_cache_is_filled_and_the_object_is_current(self, orders, storage, cache):
        orders.lock()
        cache.clear()
        storage.requests.clear()

        fetched = orders.obtain("orders", locked=True)

        assert (Outcome.DOWNLOADED, b"first") == (fetched.outcome, fetched.path.read_bytes())
        assert ["stat", "download"] == storage.requests
        assert Outcome.UNCHANGED is orders.obtain("orders").outcome

    def test_a_version_is_fetched_though_the_store_has_moved_on(
        self, of, versioned, moved_on, clock
    ):
        catalog = of(storage=versioned, orders=ORDERS)
        catalog.lock()
        moved_on(storage=versioned)
        current = catalog.fetch("orders")
        versioned.requests.clear()
        clock.go_on(SECOND)

        fetched = catalog.obtain("orders", locked=True)

        assert (Outcome.DOWNLOADED, b"first") == (fetched.outcome, fetched.path.read_bytes())
        assert ["download"] == versioned.requests
        assert current == catalog.fetch("orders")

    def test_a_version_becomes_no_current_object(self, of, versioned, moved_on, cache):
        catalog = of(storage=versioned, orders=ORDERS)
        catalog.lock()
        moved_on(storage=versioned)

        catalog.fetch("orders", locked=True)

        assert None is cache.current(str(ORDERS), ORDERS)

    def test_a_deleted_object_comes_by_its_version(self, of, versioned, cache):
        catalog = of(storage=versioned, orders=ORDERS)
        catalog.lock()
        cache.clear()
        versioned.delete(ORDERS)

        assert b"first" == catalog.fetch("orders", locked=True).read_bytes()

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (
                b"longer",
                r"what is locked: size 5 → 6, etag \".*\" → \".*\", blake3 .*, since 2024-02-29T13",
            ),
            (b"other", r"what is locked: etag \".*\" → \".*\", blake3 .*, since 2024-02-29T13"),
        ],
    )
    def test_another_object_is_refused_with_what_changed_and_since_when(
        self, orders, moved_on, data, words
    ):
        orders.lock()
        moved_on(data)

        with pytest.raises(LockMismatchError, match=f"'orders' is not {words}") as caught:
            orders.fetch("orders", locked=True)

        assert "'catalog lock --upgrade orders'" in caught.value.hint

    def test_what_is_of_another_size_is_not_downloaded(self, orders, moved_on, storage):
        orders.lock()
        moved_on(b"longer")
        storage.requests.clear()

        with pytest.raises(LockMismatchError):
            orders.fetch("orders", locked=True)

        assert ["stat"] == storage.requests

    def test_other_bytes_under_the_same_tag_are_refused(self, of, clock, cache):
        storage = SameTags(clock=clock)
        storage.put(ORDERS, b"first")
        catalog = of(storage=storage, orders=ORDERS)
        catalog.lock()
        cache.clear()
        storage.put(ORDERS, b"other")

        with pytest.raises(LockMismatchError, match="is not what is locked: blake3"):
            catalog.fetch("orders", locked=True)

    def test_the_same_bytes_under_another_tag_are_taken(self, of, clock, cache):
        storage = NewTags(clock=clock)
        storage.put(ORDERS, b"first")
        catalog = of(storage=storage, orders=ORDERS)
        catalog.lock()
        cache.clear()
        storage.uploads += 1

        assert b"first" == catalog.fetch("orders", locked=True).read_bytes()

    def test_one_that_is_replaced_after_the_look_is_refused(self, orders, storage, cache):
        orders.lock()
        cache.clear()
        replaces = lambda operation, _: (  # noqa: E731
            operation == "download" and storage.put(ORDERS, b"second")
        )
        storage.before = replaces

        with pytest.raises(LockMismatchError, match="size 5 → 6"):
            orders.fetch("orders", locked=True)

    def test_what_was_refused_on_arrival_is_not_downloaded_again_for_an_upgrade(
        self, orders, moved_on, storage, clock
    ):
        orders.lock()
        moved_on(b"other")
        with pytest.raises(LockMismatchError):
            orders.fetch("orders", locked=True)
        clock.go_on(SECOND)

        orders.lock(upgrade=True)

        assert Outcome.CACHED is orders.obtain("orders", locked=True).outcome
        assert digest_of(b"other") == orders.obtain("orders", locked=True).entry.digest

    def test_a_version_that_is_gone_may_be_the_current_object(self, of, versioned, clock, cache):
        """As in a bucket that was copied."""
        of(storage=versioned, orders=ORDERS).lock()
        cache.clear()
        copied = MemoryStorage(clock=clock)
        copied.put(ORDERS, b"first")

        fetched = of(storage=copied, orders=ORDERS).obtain("orders", locked=True)

        assert (b"first", None) == (fetched.path.read_bytes(), fetched.entry.info.version)

    def test_a_version_that_is_gone_is_told(self, of, versioned, clock, cache):
        of(storage=versioned, orders=ORDERS).lock()
        cache.clear()
        copied = MemoryStorage(clock=clock)
        copied.put(ORDERS, b"second")

        with pytest.raises(LockMismatchError, match=r"size 5 → 6.*has no version v1") as caught:
            of(storage=copied, orders=ORDERS).fetch("orders", locked=True)

        assert isinstance(caught.value.__cause__, VersionNotFoundError)

    def test_a_version_that_may_not_be_read_may_be_the_current_object(self, of, versioned, cache):
        catalog = of(storage=versioned, orders=ORDERS)
        catalog.lock()
        cache.clear()
        versioned.fail(1, StorageAccessError(str(ORDERS), "403"))

        assert b"first" == catalog.fetch("orders", locked=True).read_bytes()

    def test_a_version_that_may_not_be_read_is_no_mismatch(self, of, versioned, moved_on):
        catalog = of(storage=versioned, orders=ORDERS)
        catalog.lock()
        moved_on(storage=versioned)
        versioned.fail(1, StorageAccessError(str(ORDERS), "403"))

        with pytest.raises(StorageAccessError):
            catalog.fetch("orders", locked=True)

    def test_an_object_that_is_gone_is_a_mismatch(self, orders, storage, cache):
        orders.lock()
        cache.clear()
        storage.delete(ORDERS)

        with pytest.raises(LockMismatchError, match="'orders' is gone: there is no") as caught:
            orders.fetch("orders", locked=True)

        assert isinstance(caught.value.__cause__, ObjectNotFoundError)
        assert "bring it back" in caught.value.hint

    def test_an_object_that_is_gone_with_its_versions_is_told_so(self, of, versioned, clock, cache):
        of(storage=versioned, orders=ORDERS).lock()
        cache.clear()
        emptied = MemoryStorage(clock=clock)
        emptied.put(OTHER, b"other")

        with pytest.raises(LockMismatchError, match=r"is gone: .*has no version v1") as caught:
            of(storage=emptied, orders=ORDERS).fetch("orders", locked=True)

        assert "bring it back" in caught.value.hint

    @pytest.mark.parametrize("on_unreachable", ["stale", "fail"])
    def test_no_other_copy_is_served_where_the_store_is_down(
        self, of, moved_on, storage, on_unreachable
    ):
        catalog = of(orders=(ORDERS, {"on_unreachable": on_unreachable}))
        catalog.lock()
        moved_on()
        catalog.fetch("orders")
        storage.fail(9, DOWN)

        with pytest.raises(StorageUnavailableError):
            catalog.fetch("orders", locked=True)

    def test_what_is_not_cached_is_not_asked_for_offline(self, orders, cache):
        orders.lock()
        cache.clear()

        with pytest.raises(OfflineError):
            orders.fetch("orders", locked=True, offline=True)

    def test_what_is_not_locked_is_refused(self, of):
        of(orders=ORDERS).lock()

        with pytest.raises(LockMismatchError, match="'new' is not locked") as caught:
            of(orders=ORDERS, new=OTHER).fetch("new", locked=True)

        assert "'catalog lock new' locks it" == caught.value.hint

    def test_another_source_is_refused(self, of):
        of(orders=ORDERS).lock()

        with pytest.raises(LockMismatchError, match=f"locked at '{ORDERS}', .* '{OTHER}' now"):
            of(orders=OTHER).fetch("orders", locked=True)

    def test_without_a_lockfile_nothing_is_locked(self, orders):
        with pytest.raises(LockfileNotFoundError, match=r"there is no '.*catalog\.lock'"):
            orders.fetch("orders", locked=True)

    def test_a_catalog_that_is_made_in_python_has_none(self, of):
        catalog = of(lockfile=None, orders=ORDERS)

        with pytest.raises(LockfileNotFoundError, match="made in Python"):
            catalog.fetch("orders", locked=True)
        with pytest.raises(LockfileNotFoundError, match="made in Python"):
            catalog.lock()

    @pytest.mark.parametrize("options", [{"version": "v1"}, {"as_of": NOON}, {"refresh": True}])
    def test_it_goes_with_no_other_choice_of_bytes(self, orders, options):
        orders.lock()

        with pytest.raises(ValueError, match="locked goes with none of"):
            orders.fetch("orders", locked=True, **options)

    def test_many_are_fetched_locked(self, of, storage, cache, clock):
        storage.put(OTHER, b"other")
        catalog = of(orders=ORDERS, other=OTHER)
        catalog.lock()
        cache.clear()
        clock.go_on(HOUR)
        storage.put(OTHER, b"another")

        with pytest.raises(FetchAllError) as caught:
            catalog.fetch_all(locked=True)

        assert isinstance(caught.value.failures["other"], LockMismatchError)
        assert b"first" == caught.value.paths["orders"].read_bytes()
        assert (caught.value.paths["orders"],) == catalog.files("orders", locked=True)

    def test_what_another_brings_meanwhile_is_taken(self, orders, storage, cache):
        orders.lock()
        cache.clear()
        storage.requests.clear()
        alone = cache.alone

        def alone_after_another(*args):
            cache.alone = alone
            orders.fetch("orders", locked=True)
            return alone(*args)

        cache.alone = alone_after_another

        assert Outcome.CACHED is orders.obtain("orders", locked=True).outcome
        assert ["stat", "download"] == storage.requests

    def test_eight_threads_download_it_once(self, orders, storage, cache):
        orders.lock()
        cache.clear()
        storage.requests.clear()
        met = threading.Barrier(8)

        def fetch(_):
            met.wait(timeout=30)
            return orders.obtain("orders", locked=True)

        fetched = at_once(8, fetch)

        assert ["stat", "download"] == storage.requests
        assert 1 == len({one.path for one in fetched})

    def test_a_lockfile_that_changes_is_read_again(self, orders, moved_on):
        orders.lock()
        assert b"first" == orders.fetch("orders", locked=True).read_bytes()
        moved_on()
        orders.lock(upgrade=True)

        assert b"second" == orders.fetch("orders", locked=True).read_bytes()

    def test_a_push_on_what_is_locked_is_refused_where_the_store_has_moved_on(
        self, of, versioned, moved_on, mine
    ):
        catalog = of(storage=versioned, orders=ORDERS)
        catalog.lock()
        moved_on(storage=versioned)
        catalog.fetch("orders", locked=True)

        with pytest.raises(ConflictError):
            catalog.push("orders", mine)


class TestDeclaredChecksums:
    @pytest.fixture
    def declared(self, of):
        return of(orders=(ORDERS, {"checksum": checksum_of(b"first", "sha256")}))

    def test_what_is_declared_and_locked_is_fetched(self, declared, cache):
        declared.lock()
        cache.clear()

        assert b"first" == declared.fetch("orders", locked=True).read_bytes()
        assert Outcome.CACHED is declared.obtain("orders", locked=True).outcome

    def test_other_bytes_are_a_mismatch_and_are_not_kept(self, declared, moved_on, cache):
        declared.lock()
        moved_on(b"other")

        with pytest.raises(LockMismatchError, match="do not come to its sha256:"):
            declared.fetch("orders", locked=True)

        assert [] == list(cache.entries())

    def test_a_lock_on_other_bytes_than_are_declared_since_is_a_mismatch(self, orders, of):
        orders.lock()
        catalog = of(orders=(ORDERS, {"checksum": checksum_of(b"other", "sha256")}))

        with pytest.raises(LockMismatchError, match="do not come to its sha256:"):
            catalog.fetch("orders", locked=True)

    def test_bytes_that_are_cut_short_are_no_mismatch(self, orders, cache, storage):
        orders.lock()
        cache.clear()
        storage.download = lying(storage.download)

        with pytest.raises(IntegrityError):
            orders.fetch("orders", locked=True)


def lying(download):
    """A download that says that there is more than came."""

    def lie(*args, **options):
        return replace(download(*args, **options), size_bytes=99)

    return lie


class SameTags(MemoryStorage):
    """A store whose tags do not tell bytes apart, nor times."""

    def _stored(self, uri, version):
        stored = super()._stored(uri, version)
        return replace(stored, info=replace(stored.info, etag='"1"', last_modified=None))


class NewTags(MemoryStorage):
    """A store that gives every upload another tag, as one that encrypts does."""

    uploads = 0

    def _stored(self, uri, version):
        stored = super()._stored(uri, version)
        return replace(stored, info=replace(stored.info, etag=f'"{self.uploads}"'))

"""Many datasets at once: in order, in parallel, and with every failure told."""

from __future__ import annotations

import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from typing import TYPE_CHECKING

import pytest

from datacachalog import Catalog
from datacachalog.application.catalog import CoreCatalog
from datacachalog.application.results import CacheSizeWarning, Outcome
from datacachalog.domain.dataset import Dataset
from datacachalog.domain.errors import (
    ConflictError,
    DatasetNotFoundError,
    FetchAllError,
    ObjectNotFoundError,
    StorageAccessError,
)
from datacachalog.domain.uri import Uri
from tests.unit.application.world import HOUR, SECOND, RecordedProgress

if TYPE_CHECKING:
    from datacachalog.adapters.cache.directory import DirectoryCache

NAMES = ["d2", "d0", "d3", "d1"]


def uri(name):
    return Uri("mem", "lake", f"{name}.csv")


@pytest.fixture
def catalog(storage, cache, clock):
    for name in NAMES:
        storage.put(uri(name), name.encode())
    datasets = [Dataset(name, uri(name), freshness="1h") for name in NAMES]
    return CoreCatalog(datasets, storage=storage, cache=cache, clock=clock)


def contents(paths):
    return {name: path.read_text() for name, path in paths.items()}


def test_all_come_in_the_order_of_the_catalog(catalog):
    paths = catalog.fetch_all()

    assert NAMES == list(paths)
    assert {name: name for name in NAMES} == contents(paths)


def test_those_that_are_named_come_in_that_order(catalog):
    assert ["d1", "d2"] == list(catalog.fetch_all(iter(["d1", "d2", "d1"])))


def test_no_names_bring_nothing(catalog, storage):
    assert {} == catalog.fetch_all([])
    assert [] == storage.requests


def test_they_are_fetched_at_once(catalog, storage):
    together = threading.Barrier(len(NAMES), timeout=30)
    storage.before = lambda *_: together.wait() and None

    assert len(NAMES) == len(catalog.fetch_all())


def test_one_worker_fetches_one_after_another(catalog, storage):
    threads = set()
    storage.before = lambda *_: threads.add(threading.current_thread().name)

    catalog.fetch_all(max_workers=1)

    assert 1 == len(threads)


def test_what_each_fetch_did_is_told(catalog, storage, clock):
    catalog.fetch("d0")
    clock.go_on(SECOND)

    fetched = catalog.obtain_all()

    assert {"d0": Outcome.CACHED} == {
        name: one.outcome for name, one in fetched.items() if one.outcome is not Outcome.DOWNLOADED
    }


@pytest.mark.parametrize("use", ["fetch_all", "obtain_all"])
def test_a_refresh_asks_for_all(catalog, storage, clock, use):
    catalog.fetch_all()
    clock.go_on(SECOND)
    storage.requests.clear()

    getattr(catalog, use)(refresh=True)

    assert ["download"] * 4 == storage.requests


def test_all_are_tried_and_every_failure_is_told(catalog, storage):
    storage.delete(uri("d0"))
    storage.fail(1, StorageAccessError(str(uri("d2")), "no credentials"))

    with pytest.raises(FetchAllError) as caught:
        catalog.fetch_all([*NAMES, "weather"], max_workers=1)

    error = caught.value
    assert {
        "d2": StorageAccessError,
        "d0": ObjectNotFoundError,
        "weather": DatasetNotFoundError,
    } == {name: type(failure) for name, failure in error.failures.items()}
    assert {"d3": "d3", "d1": "d1"} == contents(error.paths)


def test_a_bug_is_not_told_as_a_failure(catalog, storage):
    storage.fail(1, ZeroDivisionError())

    with pytest.raises(ZeroDivisionError):
        catalog.fetch_all()


def test_every_transfer_is_shown(catalog):
    progress = RecordedProgress()

    catalog.fetch_all(progress=progress)

    assert sorted(NAMES) == sorted(progress.ended)


def test_transfers_in_the_threads_of_others_are_shown(catalog):
    progress = RecordedProgress()
    with ThreadPoolExecutor(2) as executor:
        catalog.fetch_all(executor=executor, progress=progress)

        assert 1 == executor.submit(int, 1).result()
    assert sorted(NAMES) == sorted(progress.ended)


class TestProcesses:
    @pytest.fixture
    def catalog(self, tmp_path):
        for name in NAMES:
            (tmp_path / f"{name}.csv").write_text(name)
        datasets = [Dataset(name, tmp_path / f"{name}.csv") for name in NAMES]
        missing = Dataset("missing", tmp_path / "missing.csv")
        return Catalog([*datasets, missing], cache_dir=tmp_path / "cache")

    def test_processes_fetch_into_the_same_cache(self, catalog):
        progress = RecordedProgress()  # which holds locks, and cannot go there
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
            paths = catalog.fetch_all(NAMES, executor=executor, progress=progress)
            again = catalog.obtain_all(NAMES, executor=executor)
            with pytest.raises(FetchAllError) as caught:
                catalog.fetch_all(executor=executor)

        assert {name: name for name in NAMES} == contents(paths)
        assert paths == {name: one.path for name, one in again.items()}
        assert {Outcome.UNCHANGED} == {one.outcome for one in again.values()}
        assert (["missing"], paths) == (list(caught.value.failures), caught.value.paths)
        assert {*paths.values()} == {entry.path for entry in catalog.cache.entries()}

    def test_what_processes_fetched_is_held_here_when_they_are_gone(self, catalog, tmp_path):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
            path = catalog.fetch_all(["d0"], executor=executor)["d0"]

        other = Catalog(catalog.datasets, cache_dir=tmp_path / "cache", max_size=1)
        with pytest.warns(CacheSizeWarning):
            other.fetch("d1")

        assert "d0" == path.read_text()

    def test_a_push_replaces_what_processes_fetched_and_nothing_later(self, catalog, tmp_path):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
            catalog.fetch_all(["d0"], executor=executor)
        (tmp_path / "theirs").write_text("theirs")
        (tmp_path / "theirs").replace(tmp_path / "d0.csv")
        Catalog(catalog.datasets, cache_dir=tmp_path / "cache").fetch("d0")
        (tmp_path / "ours").write_text("ours")

        with pytest.raises(ConflictError):
            catalog.push("d0", tmp_path / "ours")

        assert "theirs" == (tmp_path / "d0.csv").read_text()

    def test_what_was_removed_as_its_process_ended_is_fetched_here(self, catalog):
        with Forgetful(1, mp_context=get_context("spawn")) as executor:
            executor.cache = catalog.cache
            paths = catalog.fetch_all(["d0"], executor=executor)

        assert {"d0": "d0"} == contents(paths)

    def test_a_version_that_a_process_fetched_is_not_what_a_push_expects(self, catalog, tmp_path):
        catalog.fetch("d0")
        as_of = datetime.now(UTC) + HOUR
        (tmp_path / "theirs").write_text("theirs")
        (tmp_path / "theirs").replace(tmp_path / "d0.csv")
        (tmp_path / "ours").write_text("ours")
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
            fetched, _ = catalog.try_all(["d0"], as_of=as_of, executor=executor)

        assert "theirs" == fetched["d0"].path.read_text()
        with pytest.raises(ConflictError):
            catalog.push("d0", tmp_path / "ours")


class Forgetful(ProcessPoolExecutor):
    """One whose results are removed from the cache before anybody looks at them."""

    cache: DirectoryCache

    def submit(self, work, /, *args, **options):
        future = super().submit(work, *args, **options)
        future.result(timeout=60)
        self.cache.clear()
        return future

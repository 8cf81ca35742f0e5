"""How cached copies compare with their stores, and what asking them leaves unchanged."""

from __future__ import annotations

import threading

import pytest

from datacachalog.adapters.storage.memory import MemoryStorage
from datacachalog.application.catalog import CoreCatalog
from datacachalog.application.results import State
from datacachalog.domain.dataset import Dataset
from datacachalog.domain.errors import (
    DatasetNotFoundError,
    ObjectNotFoundError,
    StorageUnavailableError,
    UnsupportedSchemeError,
)
from datacachalog.domain.uri import Uri
from tests.unit.application.world import ORDERS, SECOND

DOWN = StorageUnavailableError(str(ORDERS), "connection reset")


def test_what_was_never_fetched_is_absent(catalog, storage):
    [status] = catalog.status()

    assert ("orders", State.ABSENT, ORDERS) == (status.name, status.state, status.source)
    assert (None, None) == (status.entry, status.error)
    assert storage.stat(ORDERS) == status.remote


def test_what_was_just_fetched_is_current(catalog):
    entry = catalog.obtain("orders").entry

    [status] = catalog.status()

    assert (State.CURRENT, entry) == (status.state, status.entry)


def test_what_was_changed_since_is_stale(catalog, storage):
    entry = catalog.obtain("orders").entry
    remote = storage.put(ORDERS, b"second")

    [status] = catalog.status()

    assert (State.STALE, entry, remote) == (status.state, status.entry, status.remote)


@pytest.mark.parametrize(
    ("setup", "kind"),
    [
        (lambda storage: storage.fail(1, DOWN), StorageUnavailableError),
        (lambda storage: storage.delete(ORDERS), ObjectNotFoundError),
    ],
)
def test_what_cannot_be_compared_is_unknown(catalog, storage, setup, kind):
    entry = catalog.obtain("orders").entry
    setup(storage)

    [status] = catalog.status()

    assert (State.UNKNOWN, entry, None) == (status.state, status.entry, status.remote)
    assert isinstance(status.error, kind)


class UnreachableStorage(MemoryStorage):
    def identity(self, uri):
        raise UnsupportedSchemeError(str(uri), "built in: s3://")


def test_a_source_that_no_adapter_reaches_is_unknown(a_catalog):
    [status] = a_catalog(storage=UnreachableStorage()).status()

    assert (State.UNKNOWN, None, None) == (status.state, status.entry, status.remote)
    assert isinstance(status.error, UnsupportedSchemeError)


def test_asking_changes_nothing(a_catalog, storage, clock):
    catalog = a_catalog(freshness="10m")
    catalog.fetch("orders")
    clock.go_on(SECOND * 599)
    catalog.status()
    catalog.is_stale("orders")
    clock.go_on(SECOND)
    storage.requests.clear()

    catalog.fetch("orders")

    assert ["download"] == storage.requests


class TestManyDatasets:
    @pytest.fixture
    def names(self):
        return [f"d{number}" for number in range(8)]

    @pytest.fixture
    def catalog(self, storage, cache, clock, names):
        for name in names:
            storage.put(Uri("mem", "lake", name), name.encode())
        datasets = [Dataset(name, f"mem://lake/{name}") for name in names]
        return CoreCatalog(datasets, storage=storage, cache=cache, clock=clock)

    def test_all_are_told_in_the_order_of_the_catalog(self, catalog, names):
        assert names == [status.name for status in catalog.status()]

    def test_those_that_are_named_are_told_in_that_order(self, catalog):
        assert ["d7", "d0"] == [status.name for status in catalog.status(["d7", "d0"])]

    def test_a_name_that_comes_twice_is_told_twice_and_asked_once(self, catalog, storage):
        assert ["d1", "d1"] == [status.name for status in catalog.status(iter(["d1", "d1"]))]
        assert ["stat"] == storage.requests

    def test_an_unknown_name_raises_before_any_store_is_asked(self, catalog, storage):
        with pytest.raises(DatasetNotFoundError):
            catalog.status(["d1", "other"])

        assert [] == storage.requests

    def test_no_names_are_no_statuses(self, catalog):
        assert () == catalog.status([])

    def test_one_that_fails_leaves_the_others_known(self, catalog, storage, names):
        storage.delete(Uri("mem", "lake", "d3"))

        states = [status.state for status in catalog.status()]

        assert [State.UNKNOWN if name == "d3" else State.ABSENT for name in names] == states

    def test_stores_are_asked_at_once(self, catalog, storage, names):
        together = threading.Barrier(len(names), timeout=30)
        storage.before = lambda *_: together.wait() and None

        assert len(names) == len(catalog.status())


@pytest.mark.parametrize("freshness", ["always", "never"])
def test_what_a_fetch_would_download_is_stale(a_catalog, storage, freshness):
    catalog = a_catalog(freshness=freshness)
    answers = [catalog.is_stale("orders")]
    catalog.fetch("orders")
    answers.append(catalog.is_stale("orders"))
    storage.put(ORDERS, b"second")
    answers.append(catalog.is_stale("orders"))

    assert [True, False, True] == answers


def test_an_object_of_the_same_bytes_is_not_stale(catalog, storage):
    catalog.fetch("orders")
    storage.put(ORDERS, b"first")

    assert not catalog.is_stale("orders")


def test_a_store_that_fails_does_not_tell_what_is_stale(catalog, storage):
    storage.fail(1, DOWN)

    with pytest.raises(StorageUnavailableError):
        catalog.is_stale("orders")

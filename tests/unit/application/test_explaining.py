"""Sentences that say why, and forecasts of how much."""

from __future__ import annotations

import hashlib
import pickle
import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from datacachalog.adapters.storage.memory import MemoryStorage
from datacachalog.application.catalog import CoreCatalog
from datacachalog.application.explanations import Forecast, Reason
from datacachalog.application.results import Outcome
from datacachalog.domain.dataset import Dataset
from datacachalog.domain.errors import (
    DatasetNotFoundError,
    ObjectNotFoundError,
    StorageUnavailableError,
    UnsupportedSchemeError,
)
from datacachalog.domain.objects import ObjectInfo
from datacachalog.domain.uri import Uri
from tests.unit.application.world import HOUR, ORDERS

DOWN = StorageUnavailableError(str(ORDERS), "the connection was refused")
FIRST = f"sha256:{hashlib.sha256(b'first').hexdigest()}"
NOON_5 = "5 B, changed 2024-02-29 12:00 UTC"
UNREACHED = f"{DOWN}"


@pytest.fixture
def down(storage):
    def down(error=DOWN):
        def fail(*_):
            raise error

        storage.before = fail

    return down


def test_nothing_is_cached(catalog):
    assert f"orders would be downloaded: nothing is cached, and the store holds {NOON_5}" == str(
        catalog.why("orders")
    )


def test_the_cached_copy_is_gone(catalog, storage):
    catalog.fetch("orders").unlink()

    found = catalog.why("orders")

    assert (Reason.LOST, 5) == (found.reason, found.size_bytes)
    assert f"{found}".startswith("orders would be downloaded: the cached copy is damaged or gone")


def test_the_store_holds_the_cached_revision(catalog):
    catalog.fetch("orders")

    assert (
        f"orders would be served from the cache: the store holds the cached revision ({NOON_5})"
        == str(catalog.why("orders"))
    )


def test_the_store_holds_another_revision(catalog, storage, clock):
    catalog.fetch("orders")
    clock.go_on(HOUR)
    storage.put(ORDERS, b"second" * 1000)

    found = catalog.why("orders")

    assert (
        "orders would be downloaded: the store holds another revision "
        f"(5.9 KiB, changed 2024-02-29 13:00 UTC) than the cached one ({NOON_5})"
    ) == str(found)
    assert 6000 == found.size_bytes


def test_a_fresh_copy_is_served_without_asking(a_catalog, storage, clock):
    catalog = a_catalog(freshness="10m")
    catalog.fetch("orders")
    clock.go_on(timedelta(minutes=3))
    storage.requests.clear()

    assert (
        "orders would be served from the cache without asking: it was checked 3 minutes ago, "
        "and `freshness: 10m`"
    ) == str(catalog.why("orders"))
    assert [] == storage.requests


def test_a_declared_copy_is_served_without_asking(a_catalog, storage):
    a_catalog().fetch("orders")
    storage.requests.clear()

    assert (
        "orders would be served from the cache without asking: it has the declared checksum, "
        f"{FIRST}"
    ) == str(a_catalog(checksum=FIRST).why("orders"))
    assert [] == storage.requests


def test_a_copy_that_is_not_as_declared_cannot_be_mended(a_catalog):
    a_catalog().fetch("orders")

    found = a_catalog(checksum=f"md5:{'0' * 32}").why("orders")

    assert (Reason.UNDECLARED, None, None) == (found.reason, found.outcome, found.size_bytes)
    assert f"{found}".startswith("orders would fail: 'mem://lake/sales/orders.csv' does not hold")


def test_what_will_come_is_to_be_as_declared(a_catalog):
    said = str(a_catalog(checksum=FIRST).why("orders"))

    assert said.endswith(f"{NOON_5}; it would be refused unless it comes to {FIRST}")


def test_an_old_copy_will_do(catalog, clock, down):
    catalog.fetch("orders")
    clock.go_on(HOUR)
    down()

    assert (
        f"orders would be served from the cache, with a warning: {UNREACHED}; the cached copy "
        f"({NOON_5}), checked 1 hour ago, will do (`on_unreachable: stale`)"
    ) == str(catalog.why("orders"))


def test_an_old_copy_will_not_do(a_catalog, down):
    catalog = a_catalog(on_unreachable="fail")
    catalog.fetch("orders")
    down()

    found = catalog.why("orders")

    told = f"{UNREACHED}; the cached copy will not do (`on_unreachable: fail`)"
    assert f"orders would fail: {told}" == str(found)
    assert (DOWN, None) == (found.error, found.size_bytes)


def test_an_old_copy_will_not_do_for_a_refresh(catalog, down):
    catalog.fetch("orders")
    down()

    said = str(catalog.why("orders", refresh=True))

    assert f"orders would fail: {UNREACHED}; the cached copy will not do" == said


def test_there_is_no_old_copy(catalog, down):
    down()

    said = str(catalog.why("orders"))

    assert f"orders would fail: {UNREACHED}; there is no cached copy that could be served" == said


def test_offline_any_copy_will_do(catalog, clock, storage):
    catalog.fetch("orders")
    clock.go_on(HOUR)
    catalog.offline = True
    storage.requests.clear()

    found = catalog.why("orders")

    assert (Reason.OFFLINE, Outcome.STALE, 0) == (found.reason, found.outcome, found.size_bytes)
    assert f"{found}".endswith(f"the cached copy ({NOON_5}), checked 1 hour ago, will do")
    assert [] == storage.requests
    assert Reason.UNCHANGED is catalog.why("orders", offline=False).reason


def test_what_the_store_refuses_is_told(catalog, storage):
    entry = catalog.obtain("orders").entry
    storage.delete(ORDERS)

    found = catalog.why("orders")

    assert (Reason.REFUSED, entry) == (found.reason, found.entry)
    assert isinstance(found.error, ObjectNotFoundError)


def test_a_store_that_was_just_found_down_is_asked_once(catalog, storage, down):
    catalog.fetch("orders")
    down()
    storage.requests.clear()

    sentences = {str(catalog.why("orders")) for _ in range(3)}

    assert (1, ["stat"]) == (len(sentences), storage.requests)


class UntoldStorage(MemoryStorage):
    """As a server that sends no entity tags."""

    def stat(self, uri, *, version=None):
        return replace(super().stat(uri, version=version), etag=None, last_modified=None)


def test_a_store_that_tells_no_revision_is_downloaded_from(a_catalog, clock):
    storage = UntoldStorage(clock=clock)
    storage.put(ORDERS, b"first")
    catalog = a_catalog(storage=storage)
    catalog.fetch("orders")

    found = catalog.why("orders")

    assert Reason.UNTOLD is found.reason
    assert (
        "orders would be downloaded: the store does not say whether its object (5 B) "
        f"is the cached one ({NOON_5})"
    ) == str(found)


class WeakStorage(MemoryStorage):
    """As a server whose entity tags are weak; it answers `If-None-Match` all the same."""

    def stat(self, uri, *, version=None):
        return replace(super().stat(uri, version=version), etag='W/"1"')

    def download(self, uri, dest, **options):
        got = super().download(uri, dest, **options)
        assert isinstance(got, ObjectInfo)
        return replace(got, etag='W/"1"')


def test_a_weak_tag_is_told_too(a_catalog, clock):
    storage = WeakStorage(clock=clock)
    storage.put(ORDERS, b"first")
    catalog = a_catalog(storage=storage)
    catalog.fetch("orders")

    assert Reason.UNCHANGED is catalog.why("orders").reason


class UnreachableStorage(MemoryStorage):
    def identity(self, uri):
        raise UnsupportedSchemeError(str(uri), "built in: s3://")


def test_a_source_that_no_adapter_reaches_is_refused(a_catalog):
    found = a_catalog(storage=UnreachableStorage()).why("orders")

    assert Reason.REFUSED is found.reason
    assert f"orders would fail: {found.error}" == str(found)


def test_an_unknown_name_is_an_error(catalog):
    with pytest.raises(DatasetNotFoundError):
        catalog.why("other")


def test_an_explanation_travels(catalog):
    found = catalog.why("orders")

    assert (found, str(found)) == (travelled := pickle.loads(pickle.dumps(found)), str(travelled))  # noqa: S301 - our own


class TestPlan:
    @pytest.fixture
    def names(self):
        return [f"d{number}" for number in range(8)]

    @pytest.fixture
    def catalog(self, storage, cache, clock, names):
        for name in names:
            storage.put(Uri("mem", "lake", name), name.encode() * 1024)
        datasets = [Dataset(name, f"mem://lake/{name}") for name in names]
        return CoreCatalog(datasets, storage=storage, cache=cache, clock=clock)

    def test_all_are_told_in_the_order_of_the_catalog(self, catalog, storage, names):
        found = catalog.plan()

        assert names == [one.name for one in found.explanations]
        assert "8 of 8 datasets would be downloaded: 16.0 KiB" == str(found)
        assert ["stat"] * 8 == storage.requests

    def test_only_what_would_move_counts(self, catalog, storage, names):
        catalog.fetch_all(names[:6])
        storage.put(Uri("mem", "lake", "d1"), b"other")

        found = catalog.plan()

        assert ["d1", "d6", "d7"] == [one.name for one in found.downloads]
        assert (5 + 2 * 2048, ()) == (found.size_bytes, found.failures)

    def test_it_is_what_a_fetch_of_all_then_does(self, catalog, storage, names):
        catalog.fetch_all(names[2:5])
        storage.put(Uri("mem", "lake", "d3"), b"other")
        storage.delete(Uri("mem", "lake", "d7"))
        announced = {one.name: one.outcome for one in catalog.plan().explanations}
        del announced["d7"]

        done = catalog.obtain_all(announced)

        assert announced == {name: one.outcome for name, one in done.items()}

    def test_a_store_that_fails_is_told_in_its_row(self, catalog, storage, names):
        storage.delete(Uri("mem", "lake", "d3"))

        found = catalog.plan(["d2", "d3"])

        assert [None, ObjectNotFoundError] == [
            None if one.error is None else type(one.error) for one in found.explanations
        ]
        assert (
            "1 of 2 datasets would be downloaded: 2.0 KiB; 1 would fail, and their sizes are "
            "not known"
        ) == str(found)

    def test_one_that_is_named_twice_is_asked_and_counted_once(self, catalog, storage):
        found = catalog.plan(["d1", "d1"])

        assert "1 of 1 dataset would be downloaded: 2.0 KiB" == str(found)
        assert ["stat"] == storage.requests

    def test_a_source_that_two_share_moves_once(self, storage, cache, clock):
        datasets = [Dataset("a", ORDERS), Dataset("b", ORDERS)]
        catalog = CoreCatalog(datasets, storage=storage, cache=cache, clock=clock)

        assert 5 == catalog.plan().size_bytes

    def test_an_unknown_name_raises_before_any_store_is_asked(self, catalog, storage):
        with pytest.raises(DatasetNotFoundError):
            catalog.plan(["d1", "other"])

        assert [] == storage.requests

    def test_options_are_those_of_a_fetch(self, catalog, storage):
        catalog.fetch_all()
        storage.requests.clear()

        offline = catalog.plan(offline=True)

        assert {Reason.OFFLINE} == {one.reason for one in offline.explanations}
        assert [] == storage.requests
        assert {Reason.UNCHANGED} == {one.reason for one in catalog.plan(refresh=True).explanations}

    def test_stores_are_asked_in_parallel(self, catalog, storage, names):
        together = threading.Barrier(len(names))
        storage.before = lambda *_: together.wait(timeout=30)

        assert 8 == len(catalog.plan().downloads)

    def test_no_names_are_no_datasets(self, catalog):
        assert Forecast(()) == catalog.plan([])

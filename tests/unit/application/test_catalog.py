"""A catalog as a mapping of names, and what a fetch of the current object does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from datacachalog.application.catalog import CoreCatalog
from datacachalog.application.results import Outcome
from datacachalog.domain.dataset import Dataset
from datacachalog.domain.errors import (
    DatasetNameError,
    DatasetNotFoundError,
    ObjectNotFoundError,
    StorageUnavailableError,
)
from datacachalog.domain.uri import Uri
from datacachalog.testing.payloads import at_once
from tests.unit.application.world import HOUR, NOON, ORDERS, SECOND, RecordedProgress, TickingClock

DOWN = StorageUnavailableError(str(ORDERS), "connection reset")


class TestNames:
    @pytest.fixture
    def catalog(self, storage, cache, clock):
        datasets = [Dataset(name, f"mem://lake/{name}") for name in ("orders", "customers", "b")]
        return CoreCatalog(iter(datasets), storage=storage, cache=cache, clock=clock)

    def test_datasets_come_in_the_order_of_the_catalog(self, catalog):
        assert ["orders", "customers", "b"] == list(catalog)
        assert ["orders", "customers", "b"] == [one.name for one in catalog.datasets]
        assert 3 == len(catalog)

    def test_a_dataset_is_found_by_its_name(self, catalog):
        assert Uri("mem", "lake", "customers") == catalog["customers"].source

    @pytest.mark.parametrize(("name", "expected"), [("b", True), ("a", False), (None, False)])
    def test_membership_is_by_name(self, catalog, name, expected):
        assert expected == (name in catalog)

    def test_an_unknown_name_suggests_the_nearest_ones(self, catalog):
        with pytest.raises(DatasetNotFoundError) as caught:
            catalog["custmers"]

        assert ("custmers", ("customers",)) == (caught.value.name, caught.value.suggestions)
        assert "did you mean 'customers'?" == caught.value.hint

    def test_a_name_like_no_other_suggests_nothing(self, catalog):
        with pytest.raises(DatasetNotFoundError) as caught:
            catalog["weather"]

        assert () == caught.value.suggestions

    @pytest.mark.parametrize(
        "use", ["fetch", "obtain", "files", "is_stale", "versions", "invalidate"]
    )
    def test_an_unknown_name_asks_no_store(self, catalog, storage, use):
        with pytest.raises(DatasetNotFoundError):
            getattr(catalog, use)("weather")

        assert [] == storage.requests

    @pytest.mark.parametrize("name", [None, 3, ["orders"], Dataset("orders", "mem://lake/orders")])
    @pytest.mark.parametrize("use", ["fetch", "versions", "__getitem__"])
    def test_what_is_no_name_is_refused_in_words(self, catalog, use, name):
        with pytest.raises(TypeError, match="a dataset is asked for by its name, a str, not "):
            getattr(catalog, use)(name)

    @pytest.mark.parametrize("use", ["fetch_all", "obtain_all", "status"])
    def test_one_name_is_not_taken_for_several(self, catalog, storage, use):
        with pytest.raises(TypeError, match=r"must be several, such as \['orders'\], not one"):
            getattr(catalog, use)("orders")

        assert [] == storage.requests

    def test_two_datasets_of_one_name_are_refused(self, storage, cache, clock):
        twice = [Dataset("a", "mem://lake/1"), Dataset("a", "mem://lake/2")]

        with pytest.raises(DatasetNameError, match="'a' is used twice"):
            CoreCatalog(twice, storage=storage, cache=cache, clock=clock)


def test_a_cold_fetch_downloads_with_one_request(catalog, storage):
    fetched = catalog.obtain("orders")

    assert ["download"] == storage.requests
    assert Outcome.DOWNLOADED is fetched.outcome
    assert ("orders", b"first", "orders.csv") == (
        fetched.name,
        fetched.path.read_bytes(),
        fetched.path.name,
    )
    assert NOON == fetched.entry.checked_at


def test_a_fetch_gives_the_path(catalog):
    assert catalog.obtain("orders").path == catalog.fetch("orders")


def test_the_files_of_a_dataset_are_its_one_file(catalog):
    assert (catalog.fetch("orders"),) == catalog.files("orders")


def test_a_warm_fetch_asks_with_one_request_and_moves_no_bytes(catalog, storage, clock):
    cold = catalog.fetch("orders")
    clock.go_on(SECOND)

    warm = catalog.obtain("orders")

    assert ["download", "download"] == storage.requests
    assert (Outcome.UNCHANGED, cold) == (warm.outcome, warm.path)
    assert clock.now == warm.entry.checked_at


def test_a_changed_object_is_downloaded_to_a_new_path(catalog, storage, clock):
    old = catalog.fetch("orders")
    storage.put(ORDERS, b"second")
    clock.go_on(SECOND)

    new = catalog.obtain("orders")

    assert ["download", "download"] == storage.requests
    assert Outcome.DOWNLOADED is new.outcome
    assert (b"first", b"second") == (old.read_bytes(), new.path.read_bytes())


def test_an_object_that_changed_back_is_served_from_its_old_path(catalog, storage, clock):
    old = catalog.fetch("orders")
    for data in (b"second", b"first"):
        storage.put(ORDERS, data)
        clock.go_on(SECOND)
        path = catalog.fetch("orders")

    assert old == path


@pytest.mark.parametrize(
    ("freshness", "age", "requests"),
    [
        ("10m", timedelta(minutes=10) - timedelta(microseconds=1), 0),
        ("10m", timedelta(minutes=10), 1),
        ("never", timedelta(days=10_000), 0),
        ("always", timedelta(0), 1),  # the answer of a moment ago is not ours, whatever clocks say
        ("always", timedelta(microseconds=1), 1),
        ("0s", timedelta(microseconds=1), 1),
    ],
)
def test_a_warm_fetch_asks_as_the_freshness_says(
    a_catalog, storage, clock, freshness, age, requests
):
    catalog = a_catalog(freshness=freshness)
    cold = catalog.fetch("orders")
    storage.requests.clear()
    clock.go_on(age)

    assert cold == catalog.fetch("orders")

    assert ["download"] * requests == storage.requests


def test_a_fresh_copy_is_served_while_the_store_is_down(a_catalog, storage):
    catalog = a_catalog(freshness="never")
    catalog.fetch("orders")
    storage.fail(1, DOWN)

    assert Outcome.CACHED is catalog.obtain("orders").outcome


def test_a_confirmation_begins_a_new_age(a_catalog, storage, clock):
    catalog = a_catalog(freshness="10m")
    for _ in range(3):
        catalog.fetch("orders")
        clock.go_on(timedelta(minutes=6))

    assert ["download", "download"] == storage.requests


def test_the_age_of_a_copy_begins_before_it_was_asked_for(a_catalog, storage, clock):
    """What changed while a slow download ran is not taken for fresh."""
    catalog = a_catalog(freshness="10m")
    storage.before = lambda *_: clock.go_on(timedelta(minutes=11))
    catalog.fetch("orders")
    storage.before = lambda *_: None

    assert Outcome.UNCHANGED is catalog.obtain("orders").outcome


@pytest.mark.parametrize("freshness", ["10m", "never"])
def test_a_refresh_asks_whatever_the_freshness(a_catalog, storage, clock, freshness):
    catalog = a_catalog(freshness=freshness)
    catalog.fetch("orders")
    storage.put(ORDERS, b"second")
    clock.go_on(SECOND)

    assert b"second" == catalog.fetch("orders", refresh=True).read_bytes()


@pytest.mark.parametrize("freshness", ["always", "10m"])
def test_a_copy_from_the_future_does_not_keep_the_store_from_being_asked(
    a_catalog, storage, clock, freshness
):
    catalog = a_catalog(freshness=freshness)
    clock.go_on(HOUR)
    catalog.fetch("orders")
    storage.put(ORDERS, b"second")
    clock.go_on(-HOUR)

    assert b"second" == catalog.fetch("orders").read_bytes()


def test_a_refresh_asks_though_the_copy_is_from_the_future(catalog, storage, clock):
    clock.go_on(HOUR)
    catalog.fetch("orders")
    clock.go_on(-HOUR)

    catalog.fetch("orders", refresh=True)

    assert ["download", "download"] == storage.requests


def test_a_copy_that_vanishes_while_the_store_is_asked_is_downloaded_again(
    catalog, storage, cache, clock
):
    catalog.fetch("orders")
    clock.go_on(SECOND)
    requests = iter(("asked", "asked again"))

    def clear_once(*_):
        if next(requests) == "asked":
            cache.clear()

    storage.before = clear_once
    fetched = catalog.obtain("orders")

    assert ["download"] * 3 == storage.requests
    assert (Outcome.DOWNLOADED, b"first") == (fetched.outcome, fetched.path.read_bytes())


def test_a_damaged_copy_is_downloaded_again(catalog, clock):
    path = catalog.fetch("orders")
    path.chmod(0o644)
    path.write_bytes(b"damaged")
    clock.go_on(SECOND)

    fetched = catalog.obtain("orders")

    assert (Outcome.DOWNLOADED, b"first") == (fetched.outcome, fetched.path.read_bytes())


@pytest.mark.parametrize("after_bytes", [None, 0, 3])
def test_a_torn_download_leaves_no_entry(catalog, storage, cache, after_bytes):
    storage.fail(1, DOWN, after_bytes=after_bytes)

    with pytest.raises(StorageUnavailableError):
        catalog.fetch("orders")

    assert [] == list(cache.entries())
    assert b"first" == catalog.fetch("orders").read_bytes()


def test_a_failed_revalidation_leaves_the_copy_as_it_was(a_catalog, storage, cache, clock):
    catalog = a_catalog(on_unreachable="fail")
    catalog.fetch("orders")
    before = list(cache.entries())
    storage.put(ORDERS, b"second")
    storage.fail(1, DOWN, after_bytes=3)
    clock.go_on(SECOND)

    with pytest.raises(StorageUnavailableError):
        catalog.fetch("orders")

    assert before == list(cache.entries())


def test_an_object_that_was_deleted_is_not_served_any_more(catalog, storage, clock):
    catalog.fetch("orders")
    storage.delete(ORDERS)
    clock.go_on(SECOND)

    with pytest.raises(ObjectNotFoundError):
        catalog.fetch("orders")


def test_an_invalidated_copy_is_downloaded_anew(a_catalog, storage):
    catalog = a_catalog(freshness="never")
    path = catalog.fetch("orders")

    assert catalog.invalidate("orders")

    assert b"first" == path.read_bytes()
    assert Outcome.DOWNLOADED is catalog.obtain("orders").outcome


def test_nothing_can_be_invalidated_that_is_not_cached(catalog):
    assert not catalog.invalidate("orders")


def test_only_bytes_that_move_are_shown(catalog, clock):
    progress = RecordedProgress()
    for _ in range(2):
        catalog.fetch("orders", progress=progress)
        clock.go_on(SECOND)

    [(_, moved), (_, unmoved)] = progress.transfers
    assert ["orders", "orders"] == progress.ended
    assert ([5], 5) == (moved.totals, moved.moved_bytes)
    assert [] == unmoved.totals


def test_a_catalog_shows_its_transfers_where_it_was_told_to(storage, cache, clock):
    progress = RecordedProgress()
    catalog = CoreCatalog(
        [Dataset("orders", ORDERS)], storage=storage, cache=cache, clock=clock, progress=progress
    )

    catalog.fetch("orders")

    assert ["orders"] == progress.ended


def test_eight_threads_move_the_bytes_of_a_cold_dataset_once_whenever_they_come(a_catalog):
    catalog = a_catalog(clock=TickingClock())

    fetched = at_once(8, lambda _: catalog.obtain("orders"))

    assert 1 == [one.outcome for one in fetched].count(Outcome.DOWNLOADED)
    assert 1 == len({one.path for one in fetched})


def test_a_fetch_that_waited_takes_an_answer_that_was_asked_for_after_it_began(a_catalog, storage):
    clock = TickingClock()
    catalog = a_catalog(clock=clock)
    with ThreadPoolExecutor() as pool:
        with catalog.cache.alone(storage.identity(ORDERS), ORDERS, HOUR):
            futures = [pool.submit(catalog.obtain, "orders") for _ in range(2)]
            clock.looked_at(2)  # both have begun, and neither can ask
        outcomes = {future.result().outcome for future in futures}

    assert ["download"] == storage.requests
    assert {Outcome.DOWNLOADED, Outcome.UNCHANGED} == outcomes


def test_a_fetch_never_takes_an_answer_that_was_asked_for_before_it_began(a_catalog, storage):
    clock = TickingClock()
    catalog = a_catalog(clock=clock)
    asked = []

    def interfere(*_):
        asked.append(True)
        if len(asked) == 1:
            clock.looked_at(3)  # the first has begun and asked; now the second has begun too
        else:
            storage.put(ORDERS, b"second")

    def act(number):
        if number:
            clock.looked_at(2)
        return catalog.fetch("orders")

    storage.before = interfere
    first, second = at_once(2, act)

    assert (b"first", b"second") == (first.read_bytes(), second.read_bytes())
    assert 2 == len(asked)

"""What `version` and `as_of` bring, and how often the store is asked for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from datacachalog.adapters.storage.memory import MemoryStorage
from datacachalog.application.results import Outcome
from datacachalog.domain.errors import RemoteChangedError, VersionNotFoundError
from datacachalog.testing.payloads import at_once
from tests.unit.application.world import HOUR, NOON, ORDERS, SECOND


class SuspendedStorage(MemoryStorage):
    """A bucket whose versioning was switched off: its one version has the id `null`."""

    def versions(self, uri):
        return iter([replace(info, version="null") for info in super().versions(uri)])

    def download(self, uri, dest, *, version=None, **options):
        only = None if version == "null" else version
        return super().download(uri, dest, version=only, **options)


def replaced_before_the_download(storage):
    """Has somebody else replace the object once its versions were told."""

    def interfere(operation, _):
        if operation == "download":
            storage.put(ORDERS, b"second")

    storage.before = interfere


@pytest.fixture
def catalog(a_catalog, versioned):
    return a_catalog(storage=versioned)


@pytest.fixture
def put(versioned, clock):
    """Puts another version an hour later."""

    def put(data):
        clock.go_on(HOUR)
        return versioned.put(ORDERS, data)

    return put


def test_an_old_version_can_be_fetched(catalog, put):
    put(b"second")

    fetched = catalog.obtain("orders", version="v1")

    assert (Outcome.DOWNLOADED, b"first") == (fetched.outcome, fetched.path.read_bytes())


def test_a_version_is_asked_for_once(catalog, versioned, put):
    put(b"second")
    first = catalog.fetch("orders", version="v1")

    again = catalog.obtain("orders", version="v1")

    assert ["download"] == versioned.requests
    assert (Outcome.CACHED, first) == (again.outcome, again.path)


def test_a_version_that_came_as_the_current_object_is_not_asked_for(catalog, versioned):
    current = catalog.fetch("orders")

    assert current == catalog.fetch("orders", version="v1")
    assert ["download"] == versioned.requests


def test_an_old_version_does_not_become_the_current_one(catalog, put, clock):
    put(b"second")
    catalog.fetch("orders")
    catalog.fetch("orders", version="v1")
    clock.go_on(SECOND)

    fetched = catalog.obtain("orders")

    assert (Outcome.UNCHANGED, b"second") == (fetched.outcome, fetched.path.read_bytes())


def test_eight_threads_download_a_version_once(catalog, versioned, put):
    put(b"second")

    fetched = at_once(8, lambda _: catalog.obtain("orders", version="v1"))

    assert ["download"] == versioned.requests
    assert 7 == [one.outcome for one in fetched].count(Outcome.CACHED)


def test_the_files_of_a_version_are_its_one_file(catalog, put):
    put(b"second")

    assert (catalog.fetch("orders", version="v1"),) == catalog.files("orders", version="v1")


def test_an_unknown_version_is_not_found(catalog, cache):
    with pytest.raises(VersionNotFoundError):
        catalog.fetch("orders", version="v9")

    assert [] == list(cache.entries())


def test_a_version_that_can_be_overwritten_is_asked_for_every_time(a_catalog, clock):
    storage = SuspendedStorage(clock=clock)
    catalog = a_catalog(storage=storage)
    contents = []
    for data in (b"first", b"second"):
        storage.put(ORDERS, data)
        contents.append(catalog.fetch("orders", version="null").read_bytes())

    assert [b"first", b"second"] == contents


@pytest.mark.parametrize(
    ("hours", "expected"), [(0, b"first"), (0.9, b"first"), (1, b"second"), (100, b"third")]
)
def test_as_of_gives_what_was_current_then(catalog, put, hours, expected):
    put(b"second")
    put(b"third")

    path = catalog.fetch("orders", as_of=NOON + timedelta(hours=hours))

    assert expected == path.read_bytes()


def test_as_of_again_only_asks_for_the_versions(catalog, versioned, put):
    put(b"second")
    catalog.fetch("orders", as_of=NOON)
    versioned.requests.clear()

    assert Outcome.CACHED is catalog.obtain("orders", as_of=NOON).outcome

    assert ["versions"] == versioned.requests


def test_before_its_first_version_there_is_nothing(catalog):
    with pytest.raises(VersionNotFoundError, match="did not exist yet"):
        catalog.fetch("orders", as_of=NOON - SECOND)


def test_while_it_was_deleted_there_is_nothing(catalog, versioned, put, clock):
    clock.go_on(HOUR)
    versioned.delete(ORDERS)
    put(b"second")

    with pytest.raises(VersionNotFoundError, match="deleted"):
        catalog.fetch("orders", as_of=NOON + 1.5 * HOUR)


def test_what_was_deleted_since_can_still_be_fetched(catalog, versioned, clock):
    clock.go_on(HOUR)
    versioned.delete(ORDERS)

    assert b"first" == catalog.fetch("orders", as_of=NOON).read_bytes()


def test_as_of_a_store_without_versions_gives_the_present_object(a_catalog, storage, clock):
    catalog = a_catalog(freshness="never")
    catalog.fetch("orders")
    clock.go_on(SECOND)
    storage.put(ORDERS, b"second")
    storage.requests.clear()

    fetched = catalog.obtain("orders", as_of=clock.now)

    assert ["versions", "download"] == storage.requests
    assert b"second" == fetched.path.read_bytes()


def test_as_of_a_store_without_versions_asks_though_the_copy_is_current(a_catalog, clock):
    catalog = a_catalog()
    path = catalog.fetch("orders")
    clock.go_on(SECOND)

    fetched = catalog.obtain("orders", as_of=clock.now)

    assert (Outcome.UNCHANGED, path) == (fetched.outcome, fetched.path)


def test_as_of_before_the_present_object_of_a_store_without_versions_there_is_nothing(a_catalog):
    with pytest.raises(VersionNotFoundError):
        a_catalog().fetch("orders", as_of=NOON - SECOND)


def test_an_object_that_is_replaced_after_it_was_chosen_is_refused(a_catalog, storage, clock):
    replaced_before_the_download(storage)

    with pytest.raises(RemoteChangedError, match="replaced meanwhile"):
        a_catalog().fetch("orders", as_of=NOON)


def test_a_version_that_is_replaced_after_it_was_chosen_is_refused(a_catalog, cache, clock):
    storage = SuspendedStorage(clock=clock)
    storage.put(ORDERS, b"first")
    replaced_before_the_download(storage)

    with pytest.raises(RemoteChangedError, match="replaced meanwhile"):
        a_catalog(storage=storage).fetch("orders", as_of=NOON)

    assert [] == list(cache.entries())


def test_the_overwritable_version_can_be_the_one_of_a_time(a_catalog, clock):
    storage = SuspendedStorage(clock=clock)
    storage.put(ORDERS, b"first")

    assert b"first" == a_catalog(storage=storage).fetch("orders", as_of=NOON).read_bytes()


def test_a_version_and_a_time_are_not_given_together(catalog, versioned):
    with pytest.raises(ValueError, match="version or as_of, not both"):
        catalog.fetch("orders", version="v1", as_of=NOON)

    assert [] == versioned.requests


def test_a_time_without_a_timezone_is_refused(catalog, versioned):
    with pytest.raises(ValueError, match="timezone"):
        catalog.fetch("orders", as_of=NOON.replace(tzinfo=None))

    assert [] == versioned.requests


@pytest.mark.parametrize("when", ["2026-01-01", NOON.date(), NOON.timestamp()])
def test_what_is_no_time_is_refused_in_words(catalog, versioned, when):
    with pytest.raises(TypeError, match="as_of must be a datetime with a timezone, not "):
        catalog.fetch("orders", as_of=when)

    assert [] == versioned.requests


def test_versions_come_newest_first_as_the_store_tells_them(catalog, versioned, put):
    put(b"second")

    assert ["v2", "v1"] == [info.version for info in catalog.versions("orders")]
    assert ["versions"] == versioned.requests


def test_a_torn_version_leaves_no_entry(catalog, versioned, cache):
    versioned.fail(1, RemoteChangedError(str(ORDERS), "twice"), after_bytes=3)

    with pytest.raises(RemoteChangedError):
        catalog.fetch("orders", version="v1")

    assert [] == list(cache.entries())

"""Of a dataset with a declared checksum, no other bytes are handed out, whatever happens."""

from __future__ import annotations

from dataclasses import replace

import pytest

from datacachalog import (
    IntegrityError,
    Outcome,
    ReadOnlyDatasetError,
    StorageUnavailableError,
)
from datacachalog.testing.sources import checksum_of
from tests.unit.application.world import ORDERS, SECOND

FIRST, OTHER = checksum_of(b"first", "sha256"), checksum_of(b"other", "sha256")


@pytest.fixture(params=["sha256", "md5", "blake3"])
def first(request, a_catalog):
    """A catalog that declares what the store holds."""
    return a_catalog(checksum=str(checksum_of(b"first", request.param)))


def test_the_declared_bytes_are_fetched_once_and_never_asked_for_again(first, storage, clock):
    path = first.fetch("orders")
    clock.go_on(SECOND)
    storage.requests.clear()

    fetched = first.obtain("orders")

    assert (path, Outcome.CACHED, []) == (fetched.path, fetched.outcome, storage.requests)


def test_a_store_that_moved_on_changes_nothing(first, storage, clock):
    first.fetch("orders")
    storage.put(ORDERS, b"other")
    clock.go_on(SECOND)

    assert b"first" == first.fetch("orders").read_bytes()


def test_other_bytes_are_refused_and_not_kept(first, storage, cache):
    storage.put(ORDERS, b"other")

    with pytest.raises(IntegrityError, match="is declared"):
        first.fetch("orders")

    assert [] == list(cache.entries())


def test_other_bytes_of_which_a_store_tells_the_same_are_not_handed_out(first, storage, cache):
    first.fetch("orders")
    entry = first.obtain("orders").entry  # which was found to be as declared
    cache.clear()
    with cache.staging(entry.identity, ORDERS) as staging:  # by a catalog that declares nothing
        staging.path.parent.mkdir(parents=True, exist_ok=True)
        staging.path.write_bytes(b"other")
        info = replace(entry.info, digest=None)
        other = staging.publish(info, checked_at=entry.checked_at + SECOND, current=True)
    assert other.revision_id == entry.revision_id

    with pytest.raises(IntegrityError, match="it is what is cached already"):
        first.fetch("orders")


def test_a_refresh_refuses_other_bytes_and_keeps_the_copy(first, storage, clock):
    path = first.fetch("orders")
    storage.put(ORDERS, b"other")
    clock.go_on(SECOND)

    with pytest.raises(IntegrityError):
        first.fetch("orders", refresh=True)

    assert path == first.fetch("orders")


@pytest.mark.parametrize("freshness", ["always", "never"])
def test_a_copy_from_before_the_declaration_is_not_served(a_catalog, storage, freshness):
    a_catalog().fetch("orders")
    catalog = a_catalog(checksum=OTHER, freshness=freshness)

    with pytest.raises(IntegrityError, match="what is cached already"):
        catalog.fetch("orders")


def test_a_copy_from_before_the_declaration_is_replaced(a_catalog, storage, clock):
    a_catalog().fetch("orders")
    storage.put(ORDERS, b"other")
    clock.go_on(SECOND)

    assert b"other" == a_catalog(checksum=OTHER).fetch("orders").read_bytes()


def test_no_store_that_is_down_makes_other_bytes_good(a_catalog, storage):
    a_catalog().fetch("orders")
    storage.fail(1, StorageUnavailableError(str(ORDERS), "reset"))

    with pytest.raises(StorageUnavailableError):
        a_catalog(checksum=OTHER).fetch("orders")


def test_the_declared_copy_is_served_offline(first, storage):
    first.fetch("orders")

    assert Outcome.CACHED is first.obtain("orders", offline=True).outcome


def test_a_version_is_asked_for_by_its_id(a_catalog, versioned):
    catalog = a_catalog(storage=versioned, checksum=OTHER)

    assert b"first" == catalog.fetch("orders", version="v1").read_bytes()


def test_what_is_declared_is_not_pushed(a_catalog, storage, mine):
    with pytest.raises(ReadOnlyDatasetError) as caught:
        a_catalog(checksum=FIRST).push("orders", mine, expect="any")

    assert f"checksum: {FIRST}" in f"{caught.value.hint}"
    assert b"first" == storage.read(ORDERS, 0, 10)


@pytest.mark.parametrize("text", ["", "sha256", "sha1:00", "md5:12", "sha256:" + "x" * 64])
def test_what_is_no_checksum_is_refused(a_catalog, text):
    with pytest.raises(ValueError, match=r"^checksum must"):
        a_catalog(checksum=text)

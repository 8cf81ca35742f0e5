"""Damage that only reading tells is found, is never served again, and can be mended."""

from __future__ import annotations

import os

import pytest

from datacachalog import (
    CachePermissionError,
    DatasetNotFoundError,
    Integrity,
    IntegrityError,
    StorageUnavailableError,
)
from tests.unit.application.world import ORDERS, SECOND, RecordedProgress


def flip_a_bit(path):
    """As a bad disk does: neither the size nor the time tells of it."""
    path.chmod(0o644)
    status = path.stat()
    with path.open("r+b") as file:
        file.write(b"F")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_what_is_whole_is_intact_and_no_store_is_asked(catalog, storage):
    path = catalog.fetch("orders")
    storage.requests.clear()

    (found,) = catalog.verify()

    assert (Integrity.INTACT, path, (), None) == (
        found.integrity,
        found.entry.path,
        found.damaged,
        found.error,
    )
    assert [] == storage.requests


def test_what_is_not_cached_is_absent(catalog):
    (found,) = catalog.verify(["orders"])

    assert (Integrity.ABSENT, None) == (found.integrity, found.entry)


def test_what_is_damaged_is_told_and_not_served_again(a_catalog):
    catalog = a_catalog(freshness="never")
    path = catalog.fetch("orders")
    flip_a_bit(path)

    (found,) = catalog.verify()

    assert (Integrity.DAMAGED, None, (path,)) == (found.integrity, found.entry, found.damaged)
    assert b"first" == catalog.fetch("orders").read_bytes()


def test_what_is_damaged_is_fetched_again(a_catalog):
    catalog = a_catalog(freshness="never")
    path = catalog.fetch("orders")
    flip_a_bit(path)

    (found,) = catalog.verify(repair=True)

    assert (Integrity.REPAIRED, (path,), b"first") == (
        found.integrity,
        found.damaged,
        found.entry.path.read_bytes(),
    )
    assert [Integrity.INTACT] == [one.integrity for one in catalog.verify()]


def test_what_cannot_be_fetched_again_is_told(catalog, storage):
    flip_a_bit(catalog.fetch("orders"))
    storage.fail(1, StorageUnavailableError(str(ORDERS), "reset"))

    (found,) = catalog.verify(repair=True)

    assert Integrity.DAMAGED is found.integrity
    assert isinstance(found.error, StorageUnavailableError)


def test_older_copies_are_read_too(catalog, storage, clock):
    old = catalog.fetch("orders")
    storage.put(ORDERS, b"second")
    clock.go_on(SECOND)
    new = catalog.fetch("orders")
    flip_a_bit(old)

    (found,) = catalog.verify()

    assert ((old,), True) == (found.damaged, new.exists())


def test_the_reading_of_each_copy_is_shown_and_so_is_its_repair(catalog, storage, clock):
    storage.put(ORDERS, b"a first")
    catalog.fetch("orders")
    storage.put(ORDERS, b"second")
    clock.go_on(SECOND)
    flip_a_bit(catalog.fetch("orders"))
    progress = RecordedProgress()

    catalog.verify(repair=True, progress=progress)

    (reading, repair) = progress.transfers
    assert ("orders", [13], 13) == (reading[0], reading[1].totals, reading[1].moved_bytes)
    assert ("orders", [6], 6) == (repair[0], repair[1].totals, repair[1].moved_bytes)
    assert ["orders", "orders"] == progress.ended


def test_an_unknown_name_is_an_error(catalog):
    with pytest.raises(DatasetNotFoundError):
        catalog.verify(["ordres"])


@pytest.mark.parametrize(
    ("error", "integrity"),
    [
        (CachePermissionError("/cache", "Permission denied"), Integrity.UNKNOWN),
        (IntegrityError("/cache/orders.csv", "it cannot be removed"), Integrity.DAMAGED),
    ],
)
def test_what_cannot_be_read_is_not_called_damaged(catalog, cache, monkeypatch, error, integrity):
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(cache, "remove_damaged", refuse)

    (found,) = catalog.verify(["orders"])

    assert (integrity, error, ()) == (found.integrity, found.error, found.damaged)

"""What `why` and `plan` announce of locked fetches is what these do."""

from __future__ import annotations

import pytest

from datacachalog.adapters.lockfile import LockfileOnDisk
from datacachalog.adapters.storage.memory import MemoryStorage
from datacachalog.application.catalog import CoreCatalog
from datacachalog.application.explanations import Reason
from datacachalog.application.locking import Lockfile
from datacachalog.application.results import Outcome
from datacachalog.domain.dataset import Dataset
from datacachalog.domain.errors import (
    DatacachalogError,
    LockMismatchError,
    OfflineError,
    StorageAccessError,
    StorageUnavailableError,
)
from tests.unit.application.world import HOUR, ORDERS


@pytest.fixture(params=[False, True], ids=["one version", "versioned"])
def store(request, clock):
    return MemoryStorage(clock=clock, versioned=request.param)


@pytest.fixture
def catalog(store, cache, clock, tmp_path):
    """One that is locked to `first`, on a machine that has nothing yet."""

    def make(**options):
        return CoreCatalog(
            [Dataset("orders", ORDERS, **options)],
            storage=store,
            cache=cache,
            clock=clock,
            lockfile=Lockfile(LockfileOnDisk(tmp_path / "catalog.lock"), {}),
        )

    store.put(ORDERS, b"first")
    make().lock()
    cache.clear()
    return make()


def foretold(catalog, **options):
    """What is announced, once it is sure that it is what is done."""
    found = catalog.why("orders", locked=True, **options)
    if found.error is None:
        assert found.outcome is catalog.obtain("orders", locked=True, **options).outcome
        return found
    with pytest.raises(DatacachalogError) as caught:
        catalog.obtain("orders", locked=True, **options)
    assert (None, type(found.error)) == (found.outcome, caught.type)
    assert str(found.error) == str(caught.value)
    return found


def test_what_is_cached_is_served_without_asking(catalog, store):
    catalog.fetch("orders", locked=True)
    store.requests.clear()

    found = foretold(catalog)

    assert (Reason.LOCKED, Outcome.CACHED, 0) == (found.reason, found.outcome, found.size_bytes)
    assert "orders would be served from the cache without asking: its copy has the locked" in str(
        found
    )
    assert [] == store.requests


def test_what_is_not_cached_is_downloaded(catalog):
    found = foretold(catalog)

    assert (Reason.LOCKED, 5) == (found.reason, found.size_bytes)
    assert str(found).endswith("the locked bytes (5 B) are not cached, and the store has them")
    assert 0 == catalog.plan(locked=True).size_bytes  # by now they are


def test_a_store_that_has_moved_on(catalog, store, clock):
    clock.go_on(HOUR)
    store.put(ORDERS, b"the second")

    found = foretold(catalog)

    assert (Outcome.DOWNLOADED if store._versioned else None) is found.outcome
    assert store._versioned or isinstance(found.error, LockMismatchError)


def test_as_many_bytes_may_be_others(catalog, store, clock):
    clock.go_on(HOUR)
    store.put(ORDERS, b"other")

    found = catalog.why("orders", locked=True)

    assert (Reason.LOCKED, Outcome.DOWNLOADED) == (found.reason, found.outcome)
    if store._versioned:
        assert str(found).endswith("and the store has them")
    else:
        assert str(found).endswith("and the store has as many; it fails if they are others")
        with pytest.raises(LockMismatchError):
            catalog.fetch("orders", locked=True)


def test_what_is_gone(catalog, store):
    store.delete(ORDERS)

    assert foretold(catalog).reason in {Reason.REFUSED, Reason.LOCKED}


def test_offline(catalog):
    found = foretold(catalog, offline=True)

    assert (Reason.OFFLINE, OfflineError) == (found.reason, type(found.error))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (StorageUnavailableError(str(ORDERS), "refused"), Reason.UNREACHABLE),
        (StorageAccessError(str(ORDERS), "denied"), Reason.REFUSED),
    ],
)
def test_a_store_that_does_not_answer(catalog, store, error, reason):
    def fail(*_):
        raise error

    store.before = fail

    assert reason is foretold(catalog).reason


def test_what_is_not_locked(catalog, tmp_path):
    (tmp_path / "catalog.lock").write_text("version = 1\n")

    assert Reason.REFUSED is foretold(catalog).reason


def test_locked_bytes_that_are_not_as_declared(catalog, cache, clock, store, tmp_path):
    catalog.fetch("orders", locked=True)
    declared = CoreCatalog(
        [Dataset("orders", ORDERS, checksum="sha256:" + "0" * 64)],
        storage=store,
        cache=cache,
        clock=clock,
        lockfile=Lockfile(LockfileOnDisk(tmp_path / "catalog.lock"), {}),
    )

    assert Reason.REFUSED is foretold(declared).reason


def test_locked_goes_not_with_refresh(catalog):
    with pytest.raises(ValueError, match="locked goes with none"):
        catalog.why("orders", locked=True, refresh=True)

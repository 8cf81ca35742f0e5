"""A catalog of one or a few datasets, whose store is memory and whose clock is told the time."""

from __future__ import annotations

import pytest

from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.cache.memory import MemoryCache
from datacachalog.adapters.storage.memory import MemoryStorage
from datacachalog.application.catalog import CoreCatalog
from datacachalog.domain.dataset import Dataset
from tests.unit.application.world import ORDERS, ManualClock


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def storage(clock):
    storage = MemoryStorage(clock=clock)
    storage.put(ORDERS, b"first")
    return storage


@pytest.fixture
def versioned(clock):
    """A store that keeps versions: v1 is `first`, and every later one is an hour younger."""
    storage = MemoryStorage(versioned=True, clock=clock)
    storage.put(ORDERS, b"first")
    return storage


@pytest.fixture(params=["memory", "directory"])
def cache(request, tmp_path):
    if request.param == "directory":
        yield DirectoryCache(tmp_path / "cache")
        return
    with MemoryCache() as cache:
        yield cache


@pytest.fixture
def a_catalog(storage, cache, clock):
    """Makes a catalog with one dataset, `orders`, whose options are given."""

    def make(*, storage=storage, clock=clock, **options):
        return CoreCatalog(
            [Dataset("orders", ORDERS, **options)], storage=storage, cache=cache, clock=clock
        )

    return make


@pytest.fixture
def catalog(a_catalog):
    return a_catalog()


@pytest.fixture
def mine(tmp_path):
    """A local file that could be pushed."""
    path = tmp_path / "mine.csv"
    path.write_bytes(b"mine")
    return path

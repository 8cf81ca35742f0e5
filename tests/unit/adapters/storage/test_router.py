from __future__ import annotations

import threading

import pytest

from datacachalog.adapters.storage.memory import MemoryStorage
from datacachalog.adapters.storage.router import RouterStorage
from datacachalog.domain.errors import UnsupportedSchemeError
from datacachalog.domain.uri import Uri
from datacachalog.testing.payloads import at_once
from datacachalog.testing.place import Place
from datacachalog.testing.storage_contract import StorageContract

HERE, THERE = Uri("here", "lake", "a"), Uri("there", "lake", "a")


class TestRouterStorage(StorageContract):
    big_bytes = 1_000_003  # nothing is moved in pieces here
    versioned = True

    @pytest.fixture
    def memory(self):
        storage = MemoryStorage(versioned=True)
        storage.put(Uri("mem", "lake", "other"), b"so that the bucket is there")
        return storage

    @pytest.fixture
    def storage(self, memory):
        return RouterStorage(lambda _: memory)

    @pytest.fixture
    def place(self, storage, memory, tmp_path):
        return Place(
            storage,
            Uri("mem", "lake", "contract"),
            tmp_path / "scratch",
            versioned=True,
            makes_buckets=True,
            missing_bucket=Uri("mem", "nowhere", "a"),
            delete=memory.delete,
        )


@pytest.fixture
def made():
    """The URI for which each adapter was made, in order."""
    return []


@pytest.fixture
def stores():
    return {"here": MemoryStorage(), "there": MemoryStorage()}


@pytest.fixture
def router(made, stores):
    def make(uri):
        made.append(uri)
        if uri.scheme not in stores:
            raise UnsupportedSchemeError(str(uri), "built in: here")
        return stores[uri.scheme]

    return RouterStorage(make)


def test_no_adapter_is_made_before_it_is_used(router, made):
    assert [] == made


def test_each_scheme_has_an_adapter_of_its_own(router, stores):
    stores["here"].put(HERE, b"here")
    stores["there"].put(THERE, b"there")

    assert (b"here", b"there") == (router.read(HERE, 0, 10), router.read(THERE, 0, 10))


def test_an_adapter_is_made_once(router, made):
    for _ in range(3):
        router.identity(HERE)
        router.identity(Uri("here", "bay", "b"))

    assert [HERE] == made


def test_a_scheme_that_nobody_serves_is_told_every_time(router, made):
    for _ in range(2):
        with pytest.raises(UnsupportedSchemeError):
            router.stat(Uri("nowhere", "lake", "a"))

    assert 2 == len(made)


def test_threads_that_need_an_adapter_at_once_use_the_same_one():
    together = threading.Barrier(4, timeout=30)

    def make(_):
        together.wait()
        return MemoryStorage()

    router = RouterStorage(make)

    assert 1 == len({id(adapter) for adapter in at_once(4, lambda _: router._of(HERE))})

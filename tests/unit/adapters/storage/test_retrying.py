from __future__ import annotations

import time
from itertools import pairwise

import pytest

from datacachalog.adapters.storage.memory import MemoryStorage
from datacachalog.adapters.storage.retrying import RetryingStorage
from datacachalog.domain.errors import (
    CacheFullError,
    ConflictError,
    ObjectNotFoundError,
    RemoteChangedError,
    StorageAccessError,
    StorageUnavailableError,
)
from datacachalog.domain.uri import Uri
from datacachalog.testing.payloads import RecordedTransfer
from datacachalog.testing.place import Place
from datacachalog.testing.storage_contract import StorageContract

URI = Uri("mem", "lake", "a")
DOWN = StorageUnavailableError(str(URI), "connection reset")
OPERATIONS = ["stat", "download", "read"]


class TestRetryingStorage(StorageContract):
    big_bytes = 1_000_003  # nothing is moved in pieces here

    @pytest.fixture
    def memory(self):
        storage = MemoryStorage(versioned=True)
        storage.put(Uri("mem", "lake", "other"), b"so that the bucket is there")
        return storage

    @pytest.fixture
    def storage(self, memory):
        return RetryingStorage(memory)

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
def memory():
    storage = MemoryStorage()
    storage.put(URI, b"0123456789")
    return storage


@pytest.fixture
def storage(memory):
    return RetryingStorage(memory, pause_s=0)


@pytest.fixture
def ask(storage, tmp_path):
    """Asks for an operation by its name."""
    (tmp_path / "mine").write_bytes(b"mine")

    def ask(operation, storage=storage):
        arguments = {
            "stat": (URI,),
            "download": (URI, tmp_path / "new" / "dest"),
            "upload": (tmp_path / "mine", URI),
            "read": (URI, 0, 10),
            "walk": (URI,),
            "versions": (URI,),
        }[operation]
        return getattr(storage, operation)(*arguments)

    return ask


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("failures", [1, 2])
def test_what_passes_is_tried_again(memory, ask, operation, failures):
    memory.fail(failures, DOWN)

    ask(operation)

    assert [operation] * (failures + 1) == memory.requests


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_does_not_pass_is_told(memory, ask, operation):
    memory.fail(100, DOWN)

    with pytest.raises(StorageUnavailableError):
        ask(operation)

    assert [operation] * 3 == memory.requests


@pytest.mark.parametrize(
    "error",
    [
        ObjectNotFoundError(str(URI)),
        StorageAccessError(str(URI), "no credentials"),
        RemoteChangedError(str(URI)),
        ConflictError(str(URI), "absent"),
        CacheFullError("/cache", "no space left"),
        ZeroDivisionError(),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_will_not_pass_is_told_at_once(memory, ask, operation, error):
    memory.fail(1, error)

    with pytest.raises(type(error)):
        ask(operation)

    assert [operation] == memory.requests


@pytest.mark.parametrize("operation", ["upload", "walk", "versions"])
def test_what_is_not_the_same_twice_is_not_tried_again(memory, ask, operation):
    memory.fail(1, DOWN)

    with pytest.raises(StorageUnavailableError):
        ask(operation)

    assert [operation] == memory.requests


def test_a_torn_download_begins_anew(memory, storage, tmp_path):
    memory.fail(1, DOWN, after_bytes=4)
    progress = RecordedTransfer()

    storage.download(URI, tmp_path / "dest", progress=progress)

    assert b"0123456789" == (tmp_path / "dest").read_bytes()
    assert ([10, 10], 10) == (progress.totals, progress.moved_bytes)


def test_a_download_that_never_works_leaves_nothing_behind(memory, storage, tmp_path):
    memory.fail(3, DOWN, after_bytes=4)

    with pytest.raises(StorageUnavailableError):
        storage.download(URI, tmp_path / "dest")

    assert [] == list(tmp_path.iterdir())


def test_there_are_as_many_attempts_as_it_was_told(memory, ask):
    memory.fail(100, DOWN)

    with pytest.raises(StorageUnavailableError):
        ask("stat", RetryingStorage(memory, attempts=1))

    assert ["stat"] == memory.requests


def test_no_attempt_begins_after_the_deadline(memory, ask):
    memory.fail(100, DOWN)
    begun = time.monotonic()

    with pytest.raises(StorageUnavailableError):
        ask("stat", RetryingStorage(memory, attempts=10, pause_s=30, deadline_s=1))

    assert ["stat"] == memory.requests
    assert time.monotonic() - begun < 14  # a pause would be of 15 s at least


def test_pauses_grow(memory, ask):
    memory.fail(100, DOWN)
    times: list[float] = []
    memory.before = lambda *_: times.append(time.monotonic())

    with pytest.raises(StorageUnavailableError):
        ask("stat", RetryingStorage(memory, attempts=4, pause_s=0.04))

    pauses = [after - before for before, after in pairwise(times)]
    assert [True] * 3 == [
        pause >= least for pause, least in zip(pauses, (0.02, 0.04, 0.08), strict=True)
    ]


def test_an_identity_is_that_of_the_store(memory, storage):
    assert memory.identity(URI) == storage.identity(URI)

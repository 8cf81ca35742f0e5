from __future__ import annotations

from datetime import UTC, datetime

import pytest

from datacachalog.adapters.storage.memory import MemoryStorage
from datacachalog.domain.errors import (
    ConflictError,
    InvalidUriError,
    ObjectNotFoundError,
    StorageUnavailableError,
)
from datacachalog.domain.objects import ABSENT
from datacachalog.domain.uri import Uri
from datacachalog.testing.place import Place
from datacachalog.testing.storage_contract import StorageContract


class TestMemoryStorage(StorageContract):
    versioned = False
    big_bytes = 1_000_003  # nothing is moved in pieces here

    @pytest.fixture
    def storage(self):
        storage = MemoryStorage(versioned=self.versioned)
        storage.put(Uri("mem", "lake", "other"), b"so that the bucket is there")
        return storage

    @pytest.fixture
    def place(self, storage, tmp_path):
        return Place(
            storage,
            Uri("mem", "lake", "contract"),
            tmp_path / "scratch",
            versioned=self.versioned,
            makes_buckets=True,
            missing_bucket=Uri("mem", "nowhere", "a"),
            delete=storage.delete,
        )


class TestVersionedMemoryStorage(TestMemoryStorage):
    versioned = True


URI = Uri("mem", "lake", "a")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DOWN = StorageUnavailableError("mem://lake/a", "connection reset")


@pytest.fixture
def storage():
    storage = MemoryStorage()
    storage.put(URI, b"0123456789")
    return storage


def test_a_fault_lasts_as_many_requests_as_it_was_said_to(storage):
    storage.fail(2, DOWN)

    for _ in range(2):
        with pytest.raises(StorageUnavailableError):
            storage.stat(URI)

    assert 10 == storage.stat(URI).size_bytes


def test_a_fault_of_one_operation_spares_the_others(storage):
    storage.fail(1, DOWN, operation="download")

    assert b"01" == storage.read(URI, 0, 2)


def test_faults_come_in_the_order_they_were_given(storage):
    storage.fail(1, DOWN)
    storage.fail(1, ObjectNotFoundError(str(URI)))

    with pytest.raises(StorageUnavailableError):
        storage.stat(URI)
    with pytest.raises(ObjectNotFoundError):
        storage.stat(URI)


def test_a_torn_download_leaves_half_a_file(storage, tmp_path):
    storage.fail(1, DOWN, after_bytes=4)

    with pytest.raises(StorageUnavailableError):
        storage.download(URI, tmp_path / "dest")

    assert b"0123" == (tmp_path / "dest").read_bytes()


def test_a_failed_upload_changes_nothing(storage, tmp_path):
    (tmp_path / "new").write_bytes(b"new")
    storage.fail(1, DOWN, operation="upload")

    with pytest.raises(StorageUnavailableError):
        storage.upload(tmp_path / "new", URI)

    assert b"0123456789" == storage.read(URI, 0, 100)


def test_requests_are_counted_by_name(storage, tmp_path):
    storage.download(URI, tmp_path / "dest")
    with pytest.raises(ConflictError):
        storage.upload(tmp_path / "dest", URI, expect=ABSENT)
    storage.stat(URI)
    storage.identity(URI)
    storage.put(URI, b"")
    storage.delete(URI)

    assert ["download", "upload", "stat"] == storage.requests


def test_a_request_can_be_interfered_with(storage):
    storage.before = lambda operation, uri: storage.put(uri, operation.encode())

    assert b"read" == storage.read(URI, 0, 100)


def test_times_are_those_of_the_clock():
    storage = MemoryStorage(clock=lambda: NOON)

    assert NOON == storage.put(URI, b"1").last_modified


def test_files_are_not_in_memory(storage):
    with pytest.raises(InvalidUriError):
        storage.stat(Uri.of_path("/data/a.csv"))

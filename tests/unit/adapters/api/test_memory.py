from __future__ import annotations

from datetime import UTC, datetime

import pytest

from datacachalog.adapters.api.memory import MemoryApi
from datacachalog.domain.errors import (
    JobFailedError,
    NotFoundError,
    StorageUnavailableError,
    TransientError,
    ValidationError,
)
from datacachalog.domain.registry import Registration
from datacachalog.domain.uri import Uri
from datacachalog.testing.api_contract import ApiContract, ApiPlace

A = Uri("mem", "objects", "a.csv")


class TestMemoryApi(ApiContract):
    @pytest.fixture
    def place(self, tmp_path):
        api = MemoryApi()
        return ApiPlace(api, api.as_reader, api.as_stranger(), tmp_path)


@pytest.fixture
def api():
    api = MemoryApi()
    api.storage.put(A, b"id\n1\n")
    return api


def test_it_counts_what_it_is_asked(api):
    api.register(Registration("t", str(A), "csv"))
    api.latest("t")
    api.as_reader("t").latest("t")

    assert ["register", "latest", "latest"] == api.requests


def test_it_fails_as_often_as_it_is_told_to(api):
    api.register(Registration("t", str(A), "csv"))
    api.fail(2, TransientError("it is down", 503), operation="latest")

    for _ in range(2):
        with pytest.raises(TransientError, match="it is down"):
            api.latest("t")
    assert api.latest("t") == next(api.snapshots("t"))


def test_what_is_to_come_before_a_request_comes_before_it(api):
    made = api.register(Registration("t", str(A), "csv"))
    newer = Uri("mem", "objects", "b.csv")
    api.storage.put(newer, b"id\n2\n")

    def register(operation):
        api.before = lambda _: None
        api.register(Registration("t", str(newer), "csv"))

    api.before = register

    assert str(newer) == api.latest("t").uri
    assert made.snapshot_id == api.latest("t").parent_id


def test_who_wrote_a_snapshot_is_known(api):
    made = api.register(Registration("t", str(A), "csv", job_name="nightly", run_id="run-1"))

    assert {made.snapshot_id: ("nightly", "run-1")} == api.writers


def test_a_job_without_its_run_is_refused(api):
    with pytest.raises(ValidationError, match="run_id"):
        api.register(Registration("t", str(A), "csv", job_name="nightly"))


def test_a_store_that_fails_fails_the_registration(api):
    api.storage.fail(1, StorageUnavailableError(str(A), "it is down"))

    with pytest.raises(JobFailedError) as caught:
        api.register(Registration("t", str(A), "csv"))

    assert "storage_unavailable" == caught.value.code


def test_another_bucket_is_not_known(api, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"1")

    with pytest.raises(NotFoundError, match="'lake'"):
        api.upload(path, "lake", "a")
    with pytest.raises(ValidationError):
        api.upload(path, "objects", "a/../b")


def test_times_are_those_of_its_clock():
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    api = MemoryApi(clock=lambda: noon, name="noon")
    api.storage.put(A, b"id\n1\n")

    assert noon == api.register(Registration("t", str(A), "csv")).created_at
    assert "memory://noon" == api.identity()

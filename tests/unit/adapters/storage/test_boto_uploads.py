"""How large files are cut, how finished uploads are recognised, and when progress is told."""

from __future__ import annotations

import itertools
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import example, given
from hypothesis import strategies as st

from datacachalog.adapters.storage.boto_uploads import (
    BotoUploads,
    _condition,
    _SentFile,
    begin_sending,
    part_size,
)
from datacachalog.domain.errors import (
    StorageAccessError,
    StorageUnavailableError,
    UnsupportedOperationError,
)
from datacachalog.domain.objects import ABSENT, ANY, Revision
from datacachalog.domain.uri import Uri
from datacachalog.ports import SILENT
from datacachalog.testing.payloads import RecordedTransfer, payload

URI = Uri("s3", "lake", "a")
MIB = 1 << 20
SIZE = 20 * MIB + 7


@pytest.fixture
def uploads():
    return BotoUploads(SimpleNamespace(), "lake")  # type: ignore[arg-type]  # asked for nothing here


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine"
    path.write_bytes(payload(1, SIZE))
    return path


class TestPartSize:
    @given(st.integers(0, 5 << 40))
    @example(80_000 * MIB)
    @example(80_000 * MIB + 1)
    def test_parts_are_whole_and_not_too_many(self, size_bytes):
        """Amazon S3 User Guide, "Multipart upload limits"."""
        part_bytes = part_size(size_bytes)

        assert 8 * MIB <= part_bytes <= 5 << 30
        assert 0 == part_bytes % MIB
        assert size_bytes <= part_bytes * 10_000


@pytest.mark.parametrize(
    ("expect", "condition"),
    [
        (ANY, {}),
        (ABSENT, {"IfNoneMatch": "*"}),
        (Revision('"tag"', "v1", 5), {"IfMatch": '"tag"'}),
    ],
)
def test_an_expectation_is_a_header(expect, condition):
    assert condition == _condition(expect)


def test_what_no_server_takes_in_one_request_is_not_sent(uploads, file):
    with pytest.raises(UnsupportedOperationError, match="5 GiB"):
        uploads.upload_whole(file, (5 << 30) + 1, URI, ABSENT, SILENT)


class TestSentFiles:
    def test_nothing_is_told_while_a_file_is_hashed(self, file):
        progress = RecordedTransfer()
        with _SentFile(file, progress) as body:
            body.read()

        assert ([], 0) == (progress.totals, progress.moved_bytes)

    def test_all_is_told_while_a_file_is_sent(self, file):
        progress = RecordedTransfer()
        progress.total(SIZE)  # as whoever begins an upload does
        with _SentFile(file, progress) as body:
            begin_sending(SimpleNamespace(body=body))
            while body.read(MIB):
                """The next block."""

        assert ([SIZE], SIZE) == (progress.totals, progress.moved_bytes)

    def test_a_file_that_is_sent_again_begins_anew(self, file):
        progress = RecordedTransfer()
        progress.total(SIZE)
        with _SentFile(file, progress) as body:
            for _ in range(2):
                body.seek(0)
                begin_sending(SimpleNamespace(body=body))
                body.read()

        assert ([SIZE, SIZE], SIZE) == (progress.totals, progress.moved_bytes)

    @pytest.mark.parametrize("body", [b"bytes", None])
    def test_other_bodies_tell_nothing(self, body):
        begin_sending(SimpleNamespace(body=body))


def refusal(code, status):
    error = {"Code": code}
    metadata = {"HTTPStatusCode": status}
    return ClientError({"Error": error, "ResponseMetadata": metadata}, "PutObject")  # type: ignore[typeddict-item]  # no more is read


class Server:
    """A server that keeps what is put, and what it makes of a condition."""

    def __init__(self, *, heeds=("IfMatch", "IfNoneMatch"), error=None, versioned=False):
        self.heeds, self.error, self.versioned = heeds, error, versioned
        self.objects = {}
        self._lock = threading.Lock()
        self._numbers = itertools.count()

    def put_object(self, *, Bucket, Key, Body, **condition):  # noqa: N803 - as boto3 has them
        with self._lock:
            if self.error is not None:
                raise self.error
            heeded = {name: tag for name, tag in condition.items() if name in self.heeds}
            versions = self.objects.get(Key, ())
            current = f'"{versions[-1]}"' if versions else None
            if "IfNoneMatch" in heeded and current is not None:
                raise refusal("PreconditionFailed", 412)
            if "IfMatch" in heeded and heeded["IfMatch"] != current:
                raise refusal("PreconditionFailed", 412)
            number = f"v{next(self._numbers)}"
            self.objects[Key] = [*versions, number] if self.versioned else [number]
            return {"ETag": f'"{number}"'} | ({"VersionId": number} if self.versioned else {})

    def delete_object(self, *, Bucket, Key, VersionId=None):  # noqa: N803 - as above
        self.objects[Key].remove(VersionId or self.objects[Key][-1])
        if not self.objects[Key]:
            del self.objects[Key]

    def list_object_versions(self, *, Bucket, Prefix):  # noqa: N803 - as above
        return {"Versions": [{"VersionId": number} for number in self.objects.get(Prefix, ())]}


class Forgetful(Server):
    """A server whose answers are lost: who tries again meets its own work."""

    def put_object(self, **request):
        super().put_object(**request)
        raise refusal("PreconditionFailed", 412)


def honours(server: Any) -> bool:
    return BotoUploads(server, "lake").honours_conditions(URI)


class TestConditions:
    @pytest.mark.parametrize("versioned", [False, True])
    @pytest.mark.parametrize(
        ("heeds", "expected"),
        [
            (("IfMatch", "IfNoneMatch"), True),
            (("IfNoneMatch",), False),
            (("IfMatch",), False),
            ((), False),
        ],
    )
    def test_a_server_is_believed_that_refuses_what_it_should(self, versioned, heeds, expected):
        server = Server(heeds=heeds, versioned=versioned)

        assert expected == honours(server)

        assert {} == server.objects

    def test_a_server_that_knows_no_conditions_is_not(self):
        server = Server(error=refusal("NotImplemented", 501))

        assert not honours(server)

    def test_a_server_that_takes_no_writes_is_told(self):
        server = Server(error=refusal("AccessDenied", 403))

        with pytest.raises(StorageAccessError):
            honours(server)

    def test_lost_answers_leave_it_open(self):
        server = Forgetful()

        with pytest.raises(StorageUnavailableError):
            honours(server)

        assert {} == server.objects

"""Uploads through boto3: in parts, in one streamed request, and on a condition."""

from __future__ import annotations

import contextlib
import io
import os
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from botocore.exceptions import BotoCoreError, ClientError

from datacachalog.adapters.storage.boto_errors import is_refusal, may_be_done, translated
from datacachalog.domain.errors import ConflictError, UnsupportedOperationError
from datacachalog.domain.objects import ABSENT, Revision

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, UploadPartOutputTypeDef

    from datacachalog.adapters.storage.s3_answers import Written
    from datacachalog.domain.errors import StorageUnavailableError
    from datacachalog.domain.objects import Expected, ObjectInfo
    from datacachalog.domain.uri import Uri
    from datacachalog.ports import TransferProgress

_MAX_PARTS = 10_000  # Amazon S3 User Guide, "Multipart upload limits"
_MIB = 1 << 20
_MIN_PART_BYTES = 8 * _MIB
_MAX_WHOLE_BYTES = 5 << 30  # the same, "Uploading objects"
_THREADS = 4


class Key(TypedDict):
    """Where an object is, as boto3's calls want it."""

    Bucket: str
    Key: str


class Condition(TypedDict, total=False):
    """What must hold for a write to happen."""

    IfMatch: str
    IfNoneMatch: str


class Sums(TypedDict, total=False):
    """Which checksum S3 is to keep of an object."""

    ChecksumAlgorithm: Literal["CRC32"]
    ChecksumType: Literal["FULL_OBJECT"]


class BotoUploads:
    """What can be written to one bucket.

    With `whole_sums`, S3 keeps a checksum of the whole object, which every later download can be
    compared with; by default it is one of the parts' checksums, where there are parts. The client
    must send checksums `when_supported` then.
    """

    def __init__(self, client: S3Client, bucket: str, *, whole_sums: bool = False) -> None:
        self.client, self._bucket = client, bucket
        self._sums: Sums = {}
        if whole_sums:  # as botocore takes them of each part without more libraries
            self._sums = {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}

    def upload_whole(
        self, path: Path, size_bytes: int, uri: Uri, expect: Expected, progress: TransferProgress
    ) -> Written:
        """Uploads a file in one request, streamed, if the object is as expected.

        Raises:
            UnsupportedOperationError: it is larger than S3 takes in one request.
        """
        if size_bytes > _MAX_WHOLE_BYTES:
            raise UnsupportedOperationError(
                str(uri), "above 5 GiB, only AWS promises that an upload replaces what was expected"
            )
        key: Key = {"Bucket": self._bucket, "Key": uri.path}
        with translated(uri), _SentFile(path, progress) as body:
            answer = self.client.put_object(**key, Body=body, **_condition(expect))
        return answer.get("ETag"), answer.get("VersionId")

    def upload_parts(
        self, path: Path, size_bytes: int, uri: Uri, expect: Expected, progress: TransferProgress
    ) -> Written:
        """Uploads a large file in parts that become the object at once, if that is as expected."""
        key: Key = {"Bucket": self._bucket, "Key": uri.path}
        with translated(uri):
            upload_id = self.client.create_multipart_upload(**key, **self._sums)["UploadId"]
            try:
                parts = self._send_parts(path, size_bytes, key, upload_id, progress)
                answer = self.client.complete_multipart_upload(
                    **key,
                    UploadId=upload_id,
                    MultipartUpload={"Parts": parts},
                    **_condition(expect),
                )
            except BaseException:
                # Whatever ends it, Ctrl-C too: parts that stay would be paid for.
                with contextlib.suppress(BotoCoreError, ClientError):
                    self.client.abort_multipart_upload(**key, UploadId=upload_id)
                raise
        return answer.get("ETag"), answer.get("VersionId")

    def _send_parts(
        self, path: Path, size_bytes: int, key: Key, upload_id: str, progress: TransferProgress
    ) -> list[CompletedPartTypeDef]:
        part_bytes = part_size(size_bytes)
        starts = iter(range(0, size_bytes, part_bytes))

        def send(start: int) -> CompletedPartTypeDef:
            number, body = start // part_bytes + 1, _part_of(path, start, part_bytes)
            answer = self.client.upload_part(
                **key, UploadId=upload_id, PartNumber=number, Body=body
            )
            progress.advance(len(body))
            return _sent(number, answer)

        done: list[CompletedPartTypeDef] = []
        pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="datacachalog-upload")
        try:
            pending = {pool.submit(send, start) for start in islice(starts, _THREADS)}
            while pending:
                finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                done += [future.result() for future in finished]
                pending |= {pool.submit(send, start) for start in islice(starts, len(finished))}
        except BaseException as error:
            # Parts under way would outlive the upload's end; but nobody waits after Ctrl-C.
            pool.shutdown(wait=isinstance(error, Exception), cancel_futures=True)
            raise
        pool.shutdown()
        return sorted(done, key=lambda part: part["PartNumber"])

    def may_be_done(self, error: ConflictError | StorageUnavailableError) -> bool:
        """Whether an upload that failed so may have happened."""
        return may_be_done(error)

    def holds(self, uri: Uri, found: ObjectInfo, path: Path) -> bool:
        """Whether an object, which is read once more, holds the bytes of a file of its size."""
        condition: Condition = {} if found.etag is None else {"IfMatch": found.etag}
        try:
            with translated(uri), path.open("rb") as file:
                answer = self.client.get_object(Bucket=self._bucket, Key=uri.path, **condition)
                with contextlib.closing(answer["Body"]) as body:
                    return all(block == file.read(len(block)) for block in body.iter_chunks(_MIB))
        except ConflictError:  # it is another one by now
            return False

    def honours_conditions(self, uri: Uri) -> bool:
        """Whether this server refuses writes whose condition does not hold: it is tried.

        On two objects of a few bytes beside the target, which are removed again. Some servers do
        not know the conditions, and some check them too early: of several writes at once, all pass.

        Raises:
            StorageUnavailableError: it cannot be told, as answers were lost.
        """
        with translated(uri), ThreadPoolExecutor(2) as pool:  # a race may last a second
            one, other = (_Trial(self.client, self._bucket, uri) for _ in range(2))
            creating = pool.submit(one.run, one.creates_once)
            replacing = pool.submit(other.run, other.replaces_once)
            return creating.result() and replacing.result()


class _Trial:
    """Writes on a condition to an object that nobody knows."""

    def __init__(self, client: S3Client, bucket: str, uri: Uri) -> None:
        folder, slash, _ = uri.path.rpartition("/")
        name = f".datacachalog-probe-{os.urandom(8).hex()}"
        self._client, self._key = client, Key(Bucket=bucket, Key=f"{folder}{slash}{name}")
        self._made: list[str | None] = []  # the versions, as far as they were told
        self._is_answered = False

    def run(self, course: Callable[[], bool]) -> bool:
        """Whether the server passes; the object is removed again."""
        try:
            return course()
        except _NoConditionsError:
            return False
        finally:
            if self._is_answered:  # if not, to ask what is left would take as long again
                with contextlib.suppress(ClientError, BotoCoreError):  # who writes may not delete
                    self._remove()

    def creates_once(self) -> bool:
        """Whether one of several writes wins that expect nothing to be there."""
        return len(self._winners({"IfNoneMatch": "*"})) == 1

    def replaces_once(self) -> bool:
        """Whether one of several wins that expect what is there, and none that expects another."""
        first = self._put({})
        if not first or self._put({"IfMatch": '"another"'}) is not None:
            return False
        return len(self._winners({"IfMatch": first})) == 1

    def _winners(self, condition: Condition) -> list[str]:
        """The tags of what several writes at once made."""
        with ThreadPoolExecutor(_THREADS) as pool:
            answers = list(pool.map(self._put, [condition] * _THREADS))
        winners = [etag for etag in answers if etag is not None]
        if not winners:  # whoever won was not told, tried again, and met its own work
            raise _LostAnswersError
        return winners

    def _put(self, condition: Condition) -> str | None:
        """The tag of what was written; None if it was refused."""
        try:
            answer = self._client.put_object(**self._key, Body=os.urandom(8), **condition)
        except ClientError as error:
            self._is_answered = True
            if error.response.get("Error", {}).get("Code") in {"NotImplemented", "501"}:
                raise _NoConditionsError from error
            if is_refusal(error):
                return None
            raise
        self._is_answered = True
        self._made.append(answer.get("VersionId"))
        return answer.get("ETag", "")

    def _remove(self) -> None:
        """Removes the object, and every version of it; of some nobody may have been told."""
        if self._made and not any(self._made):
            self._client.delete_object(**self._key)
            return
        key = self._key["Key"]
        found = self._client.list_object_versions(Bucket=self._key["Bucket"], Prefix=key)
        for version in (*found.get("Versions", ()), *found.get("DeleteMarkers", ())):
            self._client.delete_object(**self._key, VersionId=version["VersionId"])


class _LostAnswersError(BotoCoreError):
    fmt = "the connection was lost"


class _NoConditionsError(Exception):
    """The server says itself that it knows no conditions."""


class _SentFile(io.FileIO):
    """A file that tells its progress while it is sent, but not while it is hashed for signing."""

    def __init__(self, path: Path, progress: TransferProgress) -> None:
        super().__init__(path, "rb")
        self._progress: TransferProgress | None = None
        self._told = progress

    def begin(self) -> None:
        """The next read is the first one of an attempt to send."""
        if self._progress is not None:  # it was sent before: nothing of it counts
            self._told.total(os.fstat(self.fileno()).st_size)
        self._progress = self._told

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if self._progress is not None:
            self._progress.advance(len(data))
        return data


def begin_sending(request: Any, **_: object) -> None:
    """Tells a `_SentFile` that it is about to be sent; botocore's `before-send` event calls it."""
    if isinstance(request.body, _SentFile):
        request.body.begin()


def _sent(number: int, answer: UploadPartOutputTypeDef) -> CompletedPartTypeDef:
    """How a part is named when the upload is completed."""
    part: CompletedPartTypeDef = {"PartNumber": number, "ETag": answer.get("ETag", "")}
    if "ChecksumCRC32" in answer:  # where it was asked for, S3 completes nothing without it
        part["ChecksumCRC32"] = answer["ChecksumCRC32"]
    return part


def _part_of(path: Path, start: int, size_bytes: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(size_bytes)


def part_size(size_bytes: int) -> int:
    """The size of an upload's parts: 8 MiB, or what keeps them below S3's 10,000.

    >>> part_size(512 << 20) >> 20, part_size(1 << 40) >> 20
    (8, 105)
    """
    needed = -(-size_bytes // _MAX_PARTS)
    return max(_MIN_PART_BYTES, -(-needed // _MIB) * _MIB)


def _condition(expect: Expected) -> Condition:
    if expect is ABSENT:
        return {"IfNoneMatch": "*"}
    if isinstance(expect, Revision):
        return {"IfMatch": expect.etag or ""}
    return {}

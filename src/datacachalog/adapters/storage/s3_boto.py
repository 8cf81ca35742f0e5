"""What only boto3 does for S3: the credential chain, versions, uploads in parts on a condition.

Imported by name when one of these is first needed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

import boto3
from boto3.exceptions import Boto3Error
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from datacachalog.domain.errors import (
    ConflictError,
    ObjectNotFoundError,
    StorageAccessError,
    StorageUnavailableError,
    UnsupportedOperationError,
)
from datacachalog.domain.objects import ABSENT, ObjectInfo, Revision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

    from datacachalog.adapters.storage.aws import Connection
    from datacachalog.domain.errors import DatacachalogError
    from datacachalog.domain.objects import Expected
    from datacachalog.domain.uri import Uri
    from datacachalog.ports import TransferProgress

_MAX_PARTS = 10_000  # Amazon S3 User Guide, "Multipart upload limits"
_MIB = 1 << 20
_MIN_PART_BYTES = 8 * _MIB
_SINGLE_UPLOAD_PARTS = 2  # an upload in one request is as long as two parts at most
_MAX_WHOLE_BYTES = 5 << 30  # the same, "Uploading objects"
_THREADS = 4
_NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
# Credentials that do not say when they end are asked for again after this long.
_CREDENTIALS_TTL = timedelta(minutes=15)
_REFUSED = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
_VERSION_OR_MARKER = re.compile(rb"<(Version|DeleteMarker)>.*?</\1>", re.DOTALL)
_VERSION_ID = re.compile(rb"<VersionId>(.*?)</VersionId>", re.DOTALL)


Checksums: TypeAlias = Literal["when_supported", "when_required"]


class Key(TypedDict):
    """Where an object is, as boto3's calls want it."""

    Bucket: str
    Key: str


class Condition(TypedDict, total=False):
    """What must hold for a write to happen."""

    IfMatch: str
    IfNoneMatch: str


class BotoBucket:
    """One bucket, as boto3 reaches it. Threads may share it."""

    def __init__(self, connection: Connection, bucket: str) -> None:
        self._connection, self._bucket = connection, bucket
        self._lock = threading.Lock()
        self._session: boto3.Session | None = None
        self._client: S3Client | None = None

    def credentials(self, uri: Uri) -> Callable[[], dict[str, Any]]:
        """A credential provider for obstore: boto3's whole chain, asked again when they expire.

        Raises:
            StorageAccessError: the chain ends without credentials.
        """
        with self._lock, _translated(uri):
            found = self._opened().get_credentials()
            if found is None:
                raise StorageAccessError(str(uri), "there are no AWS credentials")
            found.get_frozen_credentials()  # fails now rather than inside obstore

        def provide() -> dict[str, Any]:
            frozen = found.get_frozen_credentials()
            return {
                "access_key_id": frozen.access_key,
                "secret_access_key": frozen.secret_key,
                "token": frozen.token,
                "expires_at": datetime.now(UTC) + _CREDENTIALS_TTL,
            }

        return provide

    def _opened(self) -> boto3.Session:
        if self._session is None:
            keys, region = self._connection.keys, self._connection.region
            if keys is None:
                profile = self._connection.profile
                self._session = boto3.Session(profile_name=profile, region_name=region)
            else:
                self._session = boto3.Session(
                    keys.access_key_id, keys.secret_access_key, keys.session_token, region
                )
        return self._session

    @property
    def client(self) -> S3Client:
        """The boto3 client; sharing one between threads is safe, making one is not."""
        with self._lock:
            if self._client is None:
                connection = self._connection
                # Checksum headers that S3 knows since 2024 break some other servers; there the
                # signed digest of each request's body vouches for it.
                checksums: Checksums = "when_supported" if connection.is_aws else "when_required"
                self._client = self._opened().client(
                    "s3",
                    endpoint_url=connection.endpoint,
                    config=Config(
                        signature_version=UNSIGNED if connection.anonymous else None,
                        connect_timeout=5,
                        read_timeout=60,
                        retries={"mode": "standard", "max_attempts": 3},
                        max_pool_connections=_THREADS * 4,
                        request_checksum_calculation=checksums,
                        response_checksum_validation="when_required",
                        s3={
                            "addressing_style": "virtual"
                            if connection.virtual_hosts
                            else ("auto" if connection.is_aws else "path")
                        },
                    ),
                )
                self._client.meta.events.register("before-parse.s3.ListObjectVersions", _keep_order)
        return self._client

    def versions(self, uri: Uri) -> Iterator[ObjectInfo]:
        """Every version and delete marker of one key, newest first."""
        found: list[ObjectInfo] = []
        with _translated(uri):
            pages = self.client.get_paginator("list_object_versions")
            for page in pages.paginate(Bucket=self._bucket, Prefix=uri.path):
                described = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
                found += _newest_first(uri, [v for v in described if v["Key"] == uri.path], page)
                if page.get("NextKeyMarker") not in {None, uri.path}:
                    break  # keys come sorted: what follows only begins with ours
        if not found:
            raise ObjectNotFoundError(str(uri))
        if len(found) == 1 and found[0].version == "null":
            return iter([replace(found[0], version=None)])  # a bucket without versions
        return iter(found)

    def upload_whole(
        self, path: Path, size_bytes: int, uri: Uri, expect: Expected, progress: TransferProgress
    ) -> None:
        """Uploads a file in one request, streamed, if the object is as expected.

        Raises:
            UnsupportedOperationError: it is larger than S3 takes in one request.
        """
        if size_bytes > _MAX_WHOLE_BYTES:
            raise UnsupportedOperationError(
                str(uri), "above 5 GiB, only AWS promises that an upload replaces what was expected"
            )
        key: Key = {"Bucket": self._bucket, "Key": uri.path}
        with _translated(uri), _SentFile(path, progress) as body:
            self.client.put_object(**key, Body=body, **_condition(expect))

    def upload_parts(
        self, path: Path, size_bytes: int, uri: Uri, expect: Expected, progress: TransferProgress
    ) -> None:
        """Uploads a large file in parts that become the object at once, if that is as expected."""
        key: Key = {"Bucket": self._bucket, "Key": uri.path}
        with _translated(uri):
            upload_id = self.client.create_multipart_upload(**key)["UploadId"]
            try:
                parts = self._send_parts(path, size_bytes, key, upload_id, progress)
                self.client.complete_multipart_upload(
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

    def _send_parts(
        self, path: Path, size_bytes: int, key: Key, upload_id: str, progress: TransferProgress
    ) -> list[CompletedPartTypeDef]:
        part_bytes = part_size(size_bytes)
        starts = iter(range(0, size_bytes, part_bytes))

        def send(start: int) -> CompletedPartTypeDef:
            number = start // part_bytes + 1
            with path.open("rb", buffering=0) as file:
                file.seek(start)
                body = file.read(part_bytes)
            answer = self.client.upload_part(
                **key, UploadId=upload_id, PartNumber=number, Body=body
            )
            progress.advance(len(body))
            return {"PartNumber": number, "ETag": answer["ETag"]}

        done: list[CompletedPartTypeDef] = []
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="datacachalog-upload") as pool:
            try:
                pending = {pool.submit(send, start) for start in islice(starts, _THREADS)}
                while pending:
                    finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                    done += [future.result() for future in finished]
                    pending |= {pool.submit(send, start) for start in islice(starts, len(finished))}
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return sorted(done, key=lambda part: part["PartNumber"])

    def holds(self, found: ObjectInfo, path: Path, size_bytes: int) -> bool:
        """Whether an object certainly holds the bytes of the file, told by its entity tag.

        S3's tag of an object that was sent in one request is the MD5 of its bytes, and of one sent
        in parts the MD5 of the parts' MD5s (Amazon S3 API, "Object": not so with KMS, where this
        answers no).
        """
        if found.size_bytes != size_bytes:
            return False
        part_bytes = part_size(size_bytes)
        with path.open("rb") as file:
            digests = [
                hashlib.md5(block, usedforsecurity=False).digest()
                for block in iter(lambda: file.read(part_bytes), b"")
            ]
        joined = hashlib.md5(b"".join(digests), usedforsecurity=False).hexdigest()
        tags = {f'"{joined}-{len(digests)}"'}
        if len(digests) <= _SINGLE_UPLOAD_PARTS:
            whole = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
            tags.add(f'"{whole}"')
        return found.etag in tags

    def honours_conditions(self, uri: Uri) -> bool:
        """Whether this server refuses writes whose condition does not hold: it is tried.

        On an object of a few bytes beside the target, which is removed again. Some servers do not
        know the conditions, and some check them too early: of several writes at once, all pass.
        """
        folder, slash, _ = uri.path.rpartition("/")
        key: Key = {
            "Bucket": self._bucket,
            "Key": f"{folder}{slash}.datacachalog-probe-{os.urandom(8).hex()}",
        }
        made: list[str | None] = []

        def put(condition: Condition) -> str | None:
            try:
                answer = self.client.put_object(**key, Body=os.urandom(8), **condition)
            except ClientError as error:
                if error.response["Error"]["Code"] in _REFUSED:
                    return None
                raise
            made.append(answer.get("VersionId"))
            return answer["ETag"]

        with _translated(uri):
            try:
                first = _winners(put, {"IfNoneMatch": "*"})
                if len(first) != 1 or put({"IfMatch": '"another"'}) is not None:
                    return False
                return len(_winners(put, {"IfMatch": first[0]})) == 1
            finally:
                for version in {*made}:
                    self._delete(key, version)

    def _delete(self, key: Key, version: str | None) -> None:
        if version is None:
            self.client.delete_object(**key)
        else:
            self.client.delete_object(**key, VersionId=version)


class _SentFile(io.FileIO):
    """A file that tells its progress while it is sent, but not while it is hashed for signing."""

    def __init__(self, path: Path, progress: TransferProgress) -> None:
        super().__init__(path, "rb")
        self._progress: TransferProgress | None = None
        self._told = progress

    def begin(self) -> None:
        """The next read is the first one of an attempt to send."""
        self._progress = self._told
        self._told.total(os.fstat(self.fileno()).st_size)

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if self._progress is not None:
            self._progress.advance(len(data))
        return data


def _begin_sending(request: Any, **_: object) -> None:
    if isinstance(request.body, _SentFile):
        request.body.begin()


def _winners(put: Callable[[Condition], str | None], condition: Condition) -> list[str]:
    """The tags of what several writes at once made; None of one that was refused is left out."""
    with ThreadPoolExecutor(_THREADS) as pool:
        etags = list(pool.map(put, [condition] * _THREADS))
    return [etag for etag in etags if etag is not None]


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


def _keep_order(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object
) -> None:
    """Notes the order of a listing: boto3 parts versions from markers, and loses who came first."""
    body: bytes = response_dict["body"]
    ids = (_VERSION_ID.search(match[0]) for match in _VERSION_OR_MARKER.finditer(body))
    customized_response_dict["VersionOrder"] = [found[1].decode() for found in ids if found]


def _newest_first(uri: Uri, described: list[Any], page: Any) -> list[ObjectInfo]:
    order = {version: place for place, version in enumerate(page.get("VersionOrder", ()))}
    described.sort(key=lambda v: order.get(v["VersionId"], len(order)))
    described.sort(key=lambda v: v["LastModified"], reverse=True)  # stable: ties keep the order
    return [
        ObjectInfo(
            uri,
            version.get("Size", 0),
            version.get("ETag"),
            version["VersionId"],
            version["LastModified"].astimezone(UTC),
            deleted="ETag" not in version,
        )
        for version in described
    ]


@contextmanager
def _translated(uri: Uri) -> Iterator[None]:
    """Turns boto3's errors into the storage port's."""
    try:
        yield
    except ClientError as error:
        raise _from_answer(uri, error) from error
    except _NO_CREDENTIALS as error:
        raise StorageAccessError(str(uri), str(error)) from error
    except (BotoCoreError, Boto3Error) as error:
        raise StorageUnavailableError(str(uri), _brief(error)) from error


def _from_answer(uri: Uri, error: ClientError) -> DatacachalogError:
    answer = error.response.get("Error", {})
    code, message = str(answer.get("Code", "")), str(answer.get("Message", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "NoSuchBucket":
        return ObjectNotFoundError(str(uri), f"no bucket {uri.authority!r}")
    if code in _REFUSED or status in {409, 412}:
        return ConflictError(str(uri), "as expected")
    if code == "NoSuchKey" and error.operation_name == "CompleteMultipartUpload":
        return ConflictError(str(uri), "as expected", "absent")  # AWS's answer to If-Match
    if status == 404:
        return ObjectNotFoundError(str(uri), code)
    if 400 <= status < 500 and status not in {408, 425, 429}:
        return StorageAccessError(str(uri), f"{code}: {message}" if message else code)
    return StorageUnavailableError(str(uri), f"{code}: {message}" if message else code)


def _brief(error: Exception) -> str:
    """The first line of a message, without the address that botocore puts into it."""
    return re.sub(r'"?https?://[^\s"]*"?', "the endpoint", str(error)).split("\n", 1)[0]

"""The objects of one bucket through boto3: slower than obstore, but alive after a fork."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from datacachalog.adapters.storage.boto_errors import translated
from datacachalog.adapters.storage.comparing import stored_sum
from datacachalog.adapters.storage.s3_answers import (
    NO_S3_ANSWER,
    normal_validators,
    refuse_another_range,
    refuse_page,
)
from datacachalog.adapters.storage.transfer import (
    AnswerError,
    ObjectChangedError,
    RangeIgnoredError,
)
from datacachalog.domain.errors import (
    InvalidUriError,
    ObjectNotFoundError,
    StorageError,
    StorageUnavailableError,
    VersionNotFoundError,
)
from datacachalog.domain.objects import NOT_MODIFIED, ObjectInfo
from datacachalog.domain.uri import Uri

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_s3.client import S3Client
    from typing_extensions import Buffer

    from datacachalog.adapters.storage.stored_sums import StoredSum
    from datacachalog.adapters.storage.transfer import Part
    from datacachalog.domain.objects import NotModified, Revision

_STREAM_BLOCK_BYTES = 1 << 20


class BotoObjects:
    """What can be done with a bucket's objects; `ObjectStore` says what each method does."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client, self._bucket = client, bucket

    def stat(self, uri: Uri, version: str | None) -> ObjectInfo:
        with _asked(uri, version):
            answer = self._client.head_object(**_place(uri, version))
        return _info(uri, answer, answer["ContentLength"], version)

    def source(self, uri: Uri, version: str | None) -> BotoSource:
        return BotoSource(self._client, uri, version)

    def read(self, uri: Uri, start: int, end: int, version: str | None) -> bytes:
        if start >= end:
            return b""
        try:
            part = self.source(uri, version).get({"Range": f"bytes={start}-{end - 1}"})
        except _BeyondEndError:
            return b""
        data = bytes(part.body())
        refuse_another_range(
            uri, (start, end), part.info.size_bytes, (part.start, part.end), len(data)
        )
        return data

    def walk(self, prefix: Uri) -> Iterator[ObjectInfo]:
        with translated(prefix):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix.path):
                refuse_no_listing(prefix, page)
                for found in page.get("Contents", ()):
                    uri = Uri("s3", self._bucket, found["Key"])
                    yield _info(uri, found, found["Size"], None)

    def is_folder(self, uri: Uri) -> bool:
        with translated(uri):
            found = self._client.list_objects_v2(
                Bucket=self._bucket, Prefix=f"{uri.path}/", MaxKeys=1
            )
        refuse_no_listing(uri, found)
        return bool(found.get("Contents"))


@dataclass(frozen=True, slots=True)
class BotoPart:
    """One answer to a GET."""

    info: ObjectInfo
    start: int
    end: int
    stream: Any

    def body(self) -> Buffer:
        """All bytes of the answer. They are read from the network here."""
        with translated(self.info.uri):
            data: bytes = self.stream.read()
        return data


@dataclass(frozen=True, slots=True)
class BotoSource:
    """A `PartSource` of one object, or of one version of it."""

    client: S3Client
    uri: Uri
    version: str | None

    def first(self, size_bytes: int, unless: Revision | None) -> Part | NotModified:
        """See `PartSource`."""
        options: dict[str, Any] = {"Range": f"bytes=0-{size_bytes - 1}"}
        if unless is not None and unless.etag is not None:
            options["IfNoneMatch"] = unless.etag
        try:
            return self.get(options)
        except _BeyondEndError:  # an empty object has no first byte
            del options["Range"]
        except _UnmodifiedError:
            if unless is None:
                raise
            return NOT_MODIFIED
        try:
            return self.get(options)
        except _UnmodifiedError:
            if unless is None:
                raise
            return NOT_MODIFIED

    def part(self, start: int, end: int, of: Revision) -> Part:
        """See `PartSource`."""
        try:
            return self.get({"Range": f"bytes={start}-{end - 1}", "IfMatch": of.etag})
        except (_BeyondEndError, RangeIgnoredError, ObjectNotFoundError) as error:
            raise ObjectChangedError from error

    def stored_sum(self, of: Revision) -> StoredSum | None:
        """See `PartSource`."""
        condition: dict[str, Any] = {"IfMatch": of.etag, "ChecksumMode": "ENABLED"}
        try:
            with _asked(self.uri, self.version):
                answer = self.client.head_object(**_place(self.uri, self.version), **condition)
        except (StorageError, AnswerError):
            return None
        return stored_sum(answer["ResponseMetadata"]["HTTPHeaders"], of)

    def whole(self) -> tuple[ObjectInfo, Iterator[Buffer]]:
        """See `PartSource`."""
        with _asked(self.uri, self.version):
            answer = self.client.get_object(**_place(self.uri, self.version))
        try:
            info = _info(self.uri, answer, answer["ContentLength"], self.version)
        except StorageError:
            answer["Body"].close()
            raise
        return info, self._blocks(answer["Body"])

    def _blocks(self, stream: Any) -> Iterator[Buffer]:
        with translated(self.uri):
            yield from stream.iter_chunks(_STREAM_BLOCK_BYTES)

    def get(self, options: dict[str, Any]) -> BotoPart:
        """One answer, of this version."""
        with _asked(self.uri, self.version):
            answer = self.client.get_object(**_place(self.uri, self.version), **options)
        start, end, size = 0, answer["ContentLength"], answer["ContentLength"]
        try:
            if "Range" in options:
                start, end, size = _range(answer.get("ContentRange"))
            info = _info(self.uri, answer, size, self.version)
        except (RangeIgnoredError, StorageError):
            answer["Body"].close()
            raise
        return BotoPart(info, start, end, answer["Body"])


class _UnmodifiedError(AnswerError):
    """304."""


class _BeyondEndError(AnswerError):
    """416."""


def _place(uri: Uri, version: str | None) -> Any:
    place = {"Bucket": uri.authority, "Key": uri.path}
    return place if version is None else {**place, "VersionId": version}


def _range(header: str | None) -> tuple[int, int, int]:
    """Start, end and whole size of a `Content-Range: bytes 0-9/100` (RFC 9110 §14.4)."""
    if header is None:
        raise RangeIgnoredError
    span, _, size = header.removeprefix("bytes ").partition("/")
    start, _, last = span.partition("-")
    try:
        return int(start), int(last) + 1, int(size)
    except ValueError:
        raise RangeIgnoredError from None


def refuse_no_listing(uri: Uri, page: Mapping[str, Any]) -> None:
    """Raises StorageUnavailableError if nothing that a listing says is in an answer.

    An empty one has the bucket's name at least; the XML of a web page, which is read without
    complaint, has nothing.
    """
    if not page.keys() - {"ResponseMetadata", "VersionOrder"}:
        raise StorageUnavailableError(str(uri), NO_S3_ANSWER)


def _info(uri: Uri, answer: Any, size_bytes: int, asked: str | None) -> ObjectInfo:
    etag, version = normal_validators(answer.get("ETag"), answer.get("VersionId"))
    if asked not in {None, "null", version}:
        raise VersionNotFoundError(str(uri), repr(asked))
    if etag is None:
        refuse_page(uri, answer.get("ContentType"))
    return ObjectInfo(uri, size_bytes, etag, version, answer.get("LastModified"))


@contextmanager
def _asked(uri: Uri, version: str | None) -> Iterator[None]:
    """Tells apart the answers to a read that callers here handle."""
    if not uri.path or "\n" in uri.path:
        raise InvalidUriError(str(uri), "is no key that can be asked for")
    try:
        with translated(uri):
            yield
    except Exception as error:
        status = _status(error.__cause__)
        if status == 304:
            raise _UnmodifiedError from error
        if status == 412:
            raise ObjectChangedError from error
        if status == 416:
            raise _BeyondEndError from error
        if version is not None and status in {400, 404, 405}:
            raise VersionNotFoundError(str(uri), repr(version)) from error
        raise


def _status(error: BaseException | None) -> int | None:
    if not isinstance(error, ClientError):
        return None
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")

"""Uploads to, and reads from, a location in S3: streamed through, in parts, through boto3."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from datacachalog.adapters.storage.aws import connection
from datacachalog.adapters.storage.boto_errors import translated
from datacachalog.adapters.storage.boto_uploads import part_size
from datacachalog.adapters.storage.s3_answers import normal_validators
from datacachalog.adapters.storage.s3_boto import BotoBucket
from datacachalog.domain.errors import (
    ConflictError,
    ObjectNotFoundError,
    StorageAccessError,
    StorageError,
)
from datacachalog.domain.objects import ObjectInfo
from datacachalog.domain.storage_options import StorageOptions
from datacachalog.server.errors import ConflictProblem, StoreRefusesProblem, UnavailableProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mypy_boto3_s3.client import S3Client

    from datacachalog.server.catalog.locations import Location
    from datacachalog.server.transfer.objects import Place

_log = logging.getLogger(__name__)
_BLOCK_BYTES = 256 << 10


@dataclass(slots=True)
class Buckets:
    """The buckets of locations, as the registry is configured to reach them."""

    environ: Mapping[str, str]
    _known: dict[str, tuple[Location, BotoBucket]] = field(default_factory=dict)

    def client(self, location: Location) -> S3Client:
        """The client that a location is reached through."""
        known = self._known.get(location.id)
        if known is None or known[0] != location:
            options = StorageOptions(**location.options)
            bucket = BotoBucket(connection(options, self.environ), location.bucket)
            known = self._known[location.id] = (location, bucket)
        return known[1].client


class BucketUpload:
    """One body on its way into a bucket; more than one part of it is never in memory.

    `begun` is told the store's id of an upload in parts, before its first part is sent.
    """

    def __init__(
        self, client: S3Client, place: Place, most_bytes: int, begun: Callable[[str], None]
    ) -> None:
        self._client, self._place, self._begun = client, place, begun
        self._key: Any = {"Bucket": place.location.bucket, "Key": place.uri.path}
        self._part_bytes = part_size(most_bytes)
        self._buffer, self._parts = bytearray(), list[Any]()
        self._size, self._id, self._is_published = 0, "", False

    def write(self, data: bytes) -> None:
        """Adds bytes."""
        self._buffer += data
        self._size += len(data)
        while len(self._buffer) > self._part_bytes:  # the last one is sent by `finish`
            self._send(bytes(self._buffer[: self._part_bytes]))
            del self._buffer[: self._part_bytes]

    def _send(self, data: bytes) -> None:
        with _told(self._place):
            if not self._id:
                made = self._client.create_multipart_upload(**self._key)["UploadId"]
                self._id = made
                self._begun(made)
            number = len(self._parts) + 1
            answer = self._client.upload_part(
                **self._key, UploadId=self._id, PartNumber=number, Body=data
            )
        self._parts.append(
            {"PartNumber": number, "ETag": answer["ETag"]}
            | ({"ChecksumCRC32": answer["ChecksumCRC32"]} if "ChecksumCRC32" in answer else {})
        )

    def finish(self) -> None:
        """All bytes have come; where there are parts, the store has them."""
        if self._parts and self._buffer:
            self._send(bytes(self._buffer))
            self._buffer.clear()

    def publish(self, *, over: ObjectInfo | None) -> ObjectInfo:
        """Makes the bytes the object's, if what is there is still `over`; what it is now.

        The caller sees to it that no other upload of a registry does so at the same time; others
        are held off by the store, where it honours conditions.
        """
        condition: Any = {"IfNoneMatch": "*"}
        if over is not None:
            condition = {} if over.etag is None else {"IfMatch": over.etag}
        with _told(self._place):
            answer: Any
            if self._parts:
                answer = self._client.complete_multipart_upload(
                    **self._key,
                    UploadId=self._id,
                    MultipartUpload={"Parts": self._parts},
                    **condition,
                )
            else:
                answer = self._client.put_object(**self._key, Body=bytes(self._buffer), **condition)
        self._is_published = True
        validators = normal_validators(answer.get("ETag"), answer.get("VersionId"))
        return ObjectInfo(self._place.uri, self._size, *validators)

    def discard(self) -> bool:
        """Ends the upload; what was not published is gone. Whether nothing of it is left."""
        if self._is_published:
            return False
        if self._id:
            try:
                self._client.abort_multipart_upload(**self._key, UploadId=self._id)
            except (BotoCoreError, ClientError) as error:
                _log.warning("parts of an upload are left (%s)", type(error).__name__)
                return False
        return True


def bucket_info(client: S3Client, place: Place) -> ObjectInfo | None:
    """What is there now; None where nothing is."""
    try:
        with _told(place):
            answer = client.head_object(Bucket=place.location.bucket, Key=place.uri.path)
    except _NothingThereError:
        return None
    validators = normal_validators(answer.get("ETag"), answer.get("VersionId"))
    return ObjectInfo(
        place.uri, answer["ContentLength"], *validators, last_modified=answer.get("LastModified")
    )


def bucket_bytes(
    client: S3Client, place: Place, start: int, end: int, of: ObjectInfo
) -> Iterator[bytes]:
    """The bytes `start` up to `end` of an object that is still `of`, in blocks.

    Raises:
        ConflictProblem: it is another one by now.
    """
    asked: Any = {"Bucket": place.location.bucket, "Key": place.uri.path}
    if of.etag is not None:
        asked["IfMatch"] = of.etag
    if (start, end) != (0, of.size_bytes):
        asked["Range"] = f"bytes={start}-{end - 1}"
    try:
        with _told(place):
            body = client.get_object(**asked)["Body"]
    except _NothingThereError:
        raise ConflictProblem("it was removed meanwhile; ask again") from None
    return _blocks(body)


def _blocks(body: Any) -> Iterator[bytes]:
    with contextlib.closing(body):
        yield from body.iter_chunks(_BLOCK_BYTES)


def abort(client: S3Client, place: Place, upload_id: str) -> bool:
    """Has the store forget the parts of an upload; whether it knew of it.

    Raises:
        Problem: it cannot be asked.
    """
    try:
        with _told(place):
            client.abort_multipart_upload(
                Bucket=place.location.bucket, Key=place.uri.path, UploadId=upload_id
            )
    except _NothingThereError:
        return False
    return True


class _NothingThereError(Exception):
    """There is no such object, or no such upload."""


@contextlib.contextmanager
def _told(place: Place) -> Iterator[None]:
    """Turns what the store says into the answer to a request."""
    try:
        with translated(place.uri):
            yield
    except ConflictError as error:
        raise ConflictProblem("another program wrote to it at the same time; try again") from error
    except ObjectNotFoundError as error:
        if "no bucket" in str(error):
            raise StoreRefusesProblem("the store has no such bucket") from error
        raise _NothingThereError from error
    except StorageAccessError as error:
        raise StoreRefusesProblem("the store refuses the registry's credentials") from error
    except StorageError as error:
        raise UnavailableProblem("the store cannot be reached, or fails") from error

"""Uploads: authorised, taken in, compared with what was sent, and published with their audit.

What a crash leaves, by when it comes. Before the publishing: bytes that no reader sees, which the
next start removes. Between that and the commit: an object that is whole, and an entry of `uploads`
that says who was writing it; the next start puts that into the audit. After it: nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel, Field
from sqlalchemy import delete, insert, select, update

from datacachalog.server.auditing import note
from datacachalog.server.catalog.locations import all_locations
from datacachalog.server.errors import ConflictProblem, Problem
from datacachalog.server.identity.access import Caller, Privilege, has_on_location, require
from datacachalog.server.identity.principals import now
from datacachalog.server.ids import new_id
from datacachalog.server.schema import uploads as rows
from datacachalog.server.transfer.bucket_objects import (
    BucketUpload,
    abort,
    bucket_bytes,
    bucket_info,
)
from datacachalog.server.transfer.file_objects import (
    FileUpload,
    file_bytes,
    file_info,
    sweep_folder,
)
from datacachalog.server.transfer.objects import Place, is_of_a_snapshot, place_for
from datacachalog.server.writing import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Row

    from datacachalog.domain.objects import ObjectInfo
    from datacachalog.server.database import Database
    from datacachalog.server.transfer.bucket_objects import Buckets
    from datacachalog.server.transfer.object_conditions import Conditions, Digest

_log = logging.getLogger(__name__)
_ABANDONED = timedelta(days=1)


class Incoming(Protocol):
    """One body on its way into a store."""

    def write(self, data: bytes) -> None:
        """Adds bytes."""
        ...

    def finish(self) -> None:
        """All bytes have come."""
        ...

    def publish(self, *, over: ObjectInfo | None) -> ObjectInfo:
        """Makes the bytes the object's, if what is there is still `over`."""
        ...

    def discard(self) -> bool:
        """Ends it; what was not published is gone. Whether nothing of it is left anywhere."""
        ...


class Stored(BaseModel):
    """An object that was uploaded."""

    uri: str = Field(examples=["s3://lake/jobs/nightly/run.log"])
    size: int = Field(examples=[1048576])
    etag: str | None = Field(examples=['"5d41402abc4b2a76b9719d911017c592"'])
    digest: str = Field(
        description="The SHA-256 of the bytes that came.", examples=[f"sha256:{'0' * 64}"]
    )


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload that was begun."""

    id: str
    place: Place
    incoming: Incoming


@dataclass(slots=True)
class Uploads:
    """The objects behind the API. `own_root` is the folder of the bucket `objects`."""

    database: Database
    own_root: str
    most_bytes: int
    buckets: Buckets = field(repr=False)

    def begin(
        self,
        caller: Caller,
        path: tuple[str, str],
        conditions: Conditions | None,
        *,
        size_bytes: int | None,
        request_id: str,
    ) -> Upload:
        """Begins an upload to a bucket's object, unless it would be refused at its end.

        Without `conditions` that is found out only there: what was done before is repeated.

        Raises:
            Problem: it would be.
        """
        with self.database.writing() as connection:
            place = self._writable(connection, caller, path)
            upload_id = _noted(connection, caller, place, request_id)
        try:
            if conditions is not None:
                found = self.info(place)
                with self.database.reading() as connection:
                    _refuse(connection, caller, place, conditions, found)
            incoming = self._incoming(upload_id, place, size_bytes)
        except BaseException:
            self._forget(upload_id)
            raise
        return Upload(upload_id, place, incoming)

    def _writable(self, connection: Connection, caller: Caller, path: tuple[str, str]) -> Place:
        needed = Privilege.INSERT, Privilege.UPDATE
        return place_for(connection, caller, self.own_root, *path, *needed)

    def _incoming(self, upload_id: str, place: Place, size_bytes: int | None) -> Incoming:
        if place.location.scheme == "file":
            return FileUpload(place, upload_id)

        def begun(store_id: str) -> None:
            change = update(rows).where(rows.c.id == upload_id).values(store_id=store_id)
            with self.database.writing() as connection:
                connection.execute(change)

        client = self.buckets.client(place.location)
        return BucketUpload(client, place, size_bytes or self.most_bytes, begun)

    def publish(
        self,
        connection: Connection,
        caller: Caller,
        upload: Upload,
        conditions: Conditions,
        digest: Digest,
    ) -> Answer:
        """Makes what came the object, in the transaction that says so; for `writing.write`.

        Raises:
            Problem: the caller may not, or not any more; or what is there is not as expected.
        """
        place = upload.place
        self._writable(connection, caller, (_bucket_of(place), _path_of(place)))
        found = self.info(place)
        _refuse(connection, caller, place, conditions, found)
        made = upload.incoming.publish(over=found)
        connection.execute(delete(rows).where(rows.c.id == upload.id))
        stored = Stored(uri=place.text, size=made.size_bytes, etag=made.etag, digest=digest.text)
        return Answer(
            201 if found is None else 200,
            stored,
            action="upload-object",
            object=f"location:{place.location.id}",
            detail=stored.model_dump() | {"replaced": found and found.etag},
        )

    def end(self, upload: Upload) -> None:
        """Ends an upload: what was not published is gone.

        What was, and what the store could not be told to drop, stays in `uploads`, unless the
        transaction that published it has removed it there: a later sweep looks after it.
        """
        if upload.incoming.discard():
            self._forget(upload.id)

    def _forget(self, upload_id: str) -> None:
        with self.database.writing() as connection:
            connection.execute(delete(rows).where(rows.c.id == upload_id))

    def readable(self, caller: Caller, bucket: str, key: str) -> Place:
        """The object of a path, if the caller may read it.

        Raises:
            Problem: it may not. Whether there is such an object is not told.
        """
        with self.database.reading() as connection:
            return place_for(connection, caller, self.own_root, bucket, key, Privilege.SELECT)

    def info(self, place: Place) -> ObjectInfo | None:
        """What is there now; None where nothing is."""
        if place.location.scheme == "file":
            return file_info(place)
        return bucket_info(self.buckets.client(place.location), place)

    def bytes_of(self, place: Place, start: int, end: int, of: ObjectInfo) -> Iterator[bytes]:
        """The bytes `start` up to `end` of an object that is still `of`, in blocks."""
        if place.location.scheme == "file":
            return file_bytes(place, start, end, of)
        return bucket_bytes(self.buckets.client(place.location), place, start, end, of)

    def sweep(self) -> None:
        """Removes what processes have left that died while they took something in."""
        removed = sweep_folder(self.own_root)
        if removed:
            _log.warning("removed what %d uploads have left that ended in a crash", removed)
        query = select(rows).where(rows.c.created_at < now() - _ABANDONED)
        with self.database.reading() as connection:
            locations = {one.id: one for one in all_locations(connection)}
            found = connection.execute(query).all()
        for row in found:
            try:
                self._sweep(row, Place(locations[row.location_id], row.key))
            except Problem as problem:  # the next start asks the store again
                _log.warning("upload %s cannot be removed yet: %s", row.id, problem)

    def _sweep(self, row: Row[tuple[str, ...]], place: Place) -> None:
        if row.store_id is not None:
            abort(self.buckets.client(place.location), place, row.store_id)
        caller = Caller(row.principal_id, "", row.key_id)
        with self.database.writing() as connection:
            if connection.execute(delete(rows).where(rows.c.id == row.id)).rowcount:
                thing, detail = f"location:{place.location.id}", {"uri": place.text}
                note(connection, caller, "abandon-upload", thing, row.request_id, detail)


def _noted(connection: Connection, caller: Caller, place: Place, request_id: str) -> str:
    """Writes down that an upload is begun; its id."""
    made = new_id("upload")
    connection.execute(
        insert(rows).values(
            id=made,
            principal_id=caller.principal_id,
            key_id=caller.key_id,
            request_id=request_id,
            location_id=place.location.id,
            key=place.key,
            created_at=now(),
        )
    )
    return made


def _refuse(
    connection: Connection,
    caller: Caller,
    place: Place,
    conditions: Conditions,
    found: ObjectInfo | None,
) -> None:
    """Raises a Problem unless the caller may write to a place, over what was found there."""
    conditions.refuse_write(found)
    needed = Privilege.INSERT if found is None else Privilege.UPDATE
    what = "making a new object" if found is None else "writing over an object"
    require(connection, has_on_location(caller, place.location.id, needed), what)
    if found is not None and is_of_a_snapshot(connection, place):
        told = "it belongs to a table's snapshot, which never changes: choose another name"
        raise ConflictProblem(told, code="immutable")


def _bucket_of(place: Place) -> str:
    return "objects" if place.location.scheme == "file" else place.location.bucket


def _path_of(place: Place) -> str:
    return place.key if place.location.scheme == "file" else f"{place.location.prefix}{place.key}"

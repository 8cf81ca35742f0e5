"""Storage locations: which buckets and folders there are, and how they are reached.

They hold no credentials: those come from the environment of the server and its workers.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field
from sqlalchemy import delete, literal, select
from sqlalchemy.exc import IntegrityError

from datacachalog.domain.storage_options import AddressingStyle, StorageOptions
from datacachalog.server.administering.naming import Asked
from datacachalog.server.catalog.locations import Location, create_location, hostile_uri
from datacachalog.server.errors import ConflictProblem, InvalidProblem, NotFoundProblem
from datacachalog.server.identity.access import (
    Caller,
    ObjectKind,
    Privilege,
    has_on_object,
    is_administrator,
    require_administrator,
)
from datacachalog.server.paging import Page, page_of
from datacachalog.server.schema import grants
from datacachalog.server.schema import locations as rows
from datacachalog.server.writing import Answer

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

WHAT = "the administration of locations"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")]


class NewLocation(Asked):
    """A location that is to be. It takes no credentials."""

    uri: str = Field(
        description="s3://bucket/ or s3://bucket/prefix/.",
        max_length=1000,
        examples=["s3://lake/sales/"],
    )
    endpoint_url: str | None = Field(default=None, max_length=1000)
    region: _Word | None = None
    profile: _Word | None = Field(default=None, description="Of the server's AWS configuration.")
    anonymous: bool | None = None
    allow_http: bool | None = None
    addressing_style: AddressingStyle | None = None

    def options(self) -> dict[str, Any]:
        """What was said beyond the URI.

        Raises:
            InvalidProblem: it cannot be.
        """
        given = self.model_dump(exclude={"uri"}, exclude_none=True)
        try:
            StorageOptions(**given)
        except ValueError as error:
            raise InvalidProblem(str(error)) from error
        return given


class StorageLocation(BaseModel):
    """Where objects of tables may be."""

    id: str = Field(examples=["loc-0198f2c47d1e7a3b8c5d6e7f80912a3b"])
    uri: str = Field(examples=["s3://lake/sales/"])
    options: dict[str, Any] | None = Field(
        description="How it is reached, which administrators are told."
    )
    created_at: datetime


def list_locations(
    connection: Connection, by: Caller | None, page: Page | None = None
) -> list[StorageLocation]:
    """The locations that the caller has a privilege on."""
    knows_all = is_administrator(connection, by)
    query = select(rows)
    if by is not None and not knows_all:
        on = literal(ObjectKind.LOCATION.value)
        query = query.where(has_on_object(by, on, rows.c.id, *Privilege))
    found = page_of(connection, query, rows.c.id, page)
    return [_location(row, is_whole=knows_all) for row in found]


def add_location(
    connection: Connection, by: Caller | None, uri: str, options: dict[str, Any]
) -> Answer:
    """Lets tables have objects below a URI.

    Raises:
        ForbiddenProblem: the caller is no administrator.
        InvalidProblem: the URI is none of a bucket or a folder.
        ConflictProblem: it is a location already.
    """
    require_administrator(connection, by, WHAT)
    scheme, bucket, prefix = _parsed(uri, is_local=by is None)
    if scheme == "file" and options:
        raise InvalidProblem("a folder is reached without options")
    try:
        with connection.begin_nested():
            made = create_location(connection, scheme, bucket, prefix, options)
    except IntegrityError:
        raise ConflictProblem("it is a location already") from None
    row = connection.execute(select(rows).where(rows.c.id == made)).one()
    return _answer(201, "add-location", row)


def remove_location(connection: Connection, by: Caller | None, location: str) -> Answer:
    """Has nothing be read from a location any more, which is named by its id or its URI.

    Snapshots that are there stay known.

    Raises:
        ForbiddenProblem: the caller is no administrator.
        NotFoundProblem: there is no such location.
    """
    require_administrator(connection, by, WHAT)
    all_of_them = connection.execute(select(rows)).all()
    row = next((one for one in all_of_them if location in {one.id, _root(one)}), None)
    if row is None:
        raise NotFoundProblem(f"there is no location {location!r}")
    on_it = (grants.c.object_kind == ObjectKind.LOCATION, grants.c.object_id == row.id)
    connection.execute(delete(grants).where(*on_it))
    connection.execute(delete(rows).where(rows.c.id == row.id))
    return _answer(200, "remove-location", row)


def _parsed(uri: str, *, is_local: bool) -> tuple[str, str, str]:
    """The scheme, the bucket and the prefix, which is empty or ends in a slash."""
    scheme, mark, rest = uri.partition("://")
    bucket, _, prefix = rest.partition("/")
    is_bucket = _BUCKET.fullmatch(bucket) is not None
    if not mark or scheme not in {"s3", "file"} or is_bucket != (scheme == "s3"):
        raise InvalidProblem("a location is s3://bucket/prefix/ or file:///folder/")
    if scheme == "file":
        if not is_local:
            told = "a folder of the server is made a location there, by `datlake location add`"
            raise InvalidProblem(told)
        bucket, prefix = "", f"{Path('/', prefix).resolve()}/".replace("//", "/")
    elif prefix and not prefix.endswith("/"):
        prefix += "/"  # or `sales` would hold `sales2`, too
    # As objects that are in it will be named.
    hostile_uri(f"{scheme}://{bucket}/{prefix.removeprefix('/')}object")
    return scheme, bucket, prefix


def _answer(status: int, action: str, row: Row[Any]) -> Answer:
    body = _location(row, is_whole=True)
    return Answer(status, body, action=action, object=f"location:{body.uri}", detail=body.options)


def _location(row: Row[Any], *, is_whole: bool) -> StorageLocation:
    options = row.options if is_whole else None
    return StorageLocation(id=row.id, uri=_root(row), options=options, created_at=row.created_at)


def _root(row: Row[Any]) -> str:
    return Location(row.id, row.scheme, row.bucket, row.prefix, row.options).root

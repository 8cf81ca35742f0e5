"""The snapshots of a table: the current one, that of another time, and all of them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field

from datacachalog.server.catalog import snapshots as store
from datacachalog.server.catalog.conditions import IfNoneMatch, caching, is_known, tag_of
from datacachalog.server.catalog.tables import full_name, table_for
from datacachalog.server.catalog.tags import NAME_PATTERN
from datacachalog.server.describing import KNOWN, refusals
from datacachalog.server.errors import InvalidProblem
from datacachalog.server.identity.access import Privilege
from datacachalog.server.paging import Cursor, Limit, page, position
from datacachalog.server.parameters import TableName
from datacachalog.server.web import CallerOf, Services, ServicesOf
from datacachalog.server.web import caller as caller_of
from datacachalog.server.work.registering import Columns

router = APIRouter(prefix="/tables/{table_name}/snapshots", tags=["snapshots"])

_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class SnapshotLine(BaseModel):
    """A snapshot in a list."""

    snapshot_id: str = Field(examples=["snap-0198f2c47d1e7a3b8c5d6e7f80912a3b"])
    uri: str = Field(examples=["s3://lake/sales/q1.parquet"])
    format: str = Field(examples=["parquet"])
    created_at: datetime
    seq: int = Field(description="its number in the table: 1, 2, 3 and so on without holes")
    parent_id: str | None = Field(description="what was current when it was made")
    row_count: int | None
    size_bytes: int
    etag: str | None = Field(description="of the object, as its store told it")
    version: str | None = Field(description="of the object, where its store keeps versions")


class Snapshot(SnapshotLine):
    """One immutable state of a table."""

    table_name: str = Field(examples=["sales_q1"])
    columns: Columns | None = Field(serialization_alias="schema")


def _instant(given: object) -> object:
    """RFC 3339 §5.6, and not the numbers that would be taken for seconds."""
    if isinstance(given, str) and not _TIME.fullmatch(given):
        raise ValueError("a time is such as 2025-07-08T10:00:00Z; '+' is %2B in an address")
    return given


@router.get("", responses=refusals(403, 404))
def list_snapshots(
    table_name: TableName,
    caller: CallerOf,
    services: ServicesOf,
    request: Request,
    response: Response,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> list[SnapshotLine]:
    """The snapshots of a table, the newest first; the next page is in the `Link` header."""
    before = position(cursor, 1)
    if before is not None and not re.fullmatch(r"\d{1,18}", before[0]):
        raise InvalidProblem("the cursor is none that was given out")
    with services.database.reading() as connection:
        table = table_for(connection, caller, table_name, Privilege.SELECT)
        last = None if before is None else int(before[0])
        rows = store.history(connection, table, last, limit + 1)
    rows = page(request, response, rows, limit, lambda one: (str(one.seq),))
    return [SnapshotLine(**_line(one)) for one in rows]


@router.get("/latest", response_model=Snapshot, responses=KNOWN | refusals(403, 404))
async def latest_snapshot(
    table_name: TableName,
    request: Request,
    services: ServicesOf,
    if_none_match: IfNoneMatch = None,
    as_of: Annotated[
        AwareDatetime | None,
        BeforeValidator(_instant),
        Query(description="what was current then", examples=["2025-07-08T10:00:00Z"]),
    ] = None,
    tag: Annotated[str | None, Query(pattern=NAME_PATTERN, description="what has this tag")] = None,
) -> Response:
    """The current snapshot of a table, or that of a time or a tag: where its bytes are."""
    asked = (request, services, table_name, if_none_match, as_of, tag)
    return await to_thread.run_sync(_latest, *asked, limiter=services.quick)


def _latest(
    request: Request,
    services: Services,
    table_name: str,
    if_none_match: str | None,
    as_of: datetime | None,
    tag: str | None,
) -> Response:
    caller = caller_of(request)  # not `CallerOf`, which takes a thread of its own: it is asked most
    if as_of is not None and tag is not None:
        raise InvalidProblem("a snapshot is asked for by 'as_of' or by 'tag', not by both")
    with services.database.reading() as connection:
        table = table_for(connection, caller, table_name, Privilege.SELECT)
        if as_of is not None:
            row = store.as_of(connection, table, as_of)
        elif tag is not None:
            row = store.tagged(connection, table, tag)
        else:
            row = store.latest(connection, table)
    is_latest = as_of is None and tag is None
    return _answer(if_none_match, table, row, tag_of(table) if is_latest else _tag(row))


@router.get("/{snapshot_id}", response_model=Snapshot, responses=KNOWN | refusals(403, 404))
def get_snapshot(
    table_name: TableName,
    snapshot_id: str,
    caller: CallerOf,
    services: ServicesOf,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """A snapshot by its id, which may be kept for ever, or by its number in the table."""
    with services.database.reading() as connection:
        table = table_for(connection, caller, table_name, Privilege.SELECT)
        row = store.snapshot_of(connection, table, snapshot_id)
    # By its number it is that of whichever table has the name.
    return _answer(if_none_match, table, row, _tag(row), is_immutable=snapshot_id == row.id)


def _answer(
    if_none_match: str | None, table: Any, row: Any, tag: str, *, is_immutable: bool = False
) -> Response:
    headers = caching(tag, is_immutable=is_immutable)
    if is_known(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    body = Snapshot(
        table_name=full_name(table.namespace, table.name),
        columns=None if row.fields is None else Columns(fields=row.fields),
        **_line(row),
    )
    told = body.model_dump_json(by_alias=True)
    return Response(told, media_type="application/json", headers=headers)


def _tag(row: Any) -> str:
    return f'"{row.id}"'


def _line(row: Any) -> dict[str, Any]:
    names = set(SnapshotLine.model_fields) - {"snapshot_id"}
    return {"snapshot_id": row.id, **{name: getattr(row, name) for name in names}}

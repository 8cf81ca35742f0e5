"""Tables: listed, looked at, dropped and brought back, and what may become of their schemas."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from datacachalog.server.catalog import tables as store
from datacachalog.server.catalog.conditions import (
    IfMatch,
    IfNoneMatch,
    caching,
    is_known,
    matching,
    tag_of,
)
from datacachalog.server.catalog.listing import visible
from datacachalog.server.catalog.snapshots import roll_back
from datacachalog.server.describing import KNOWN, refusals
from datacachalog.server.identity.access import Privilege
from datacachalog.server.paging import Cursor, Limit, page, position
from datacachalog.server.parameters import TableName
from datacachalog.server.web import CallerOf, ServicesOf
from datacachalog.server.work.evolving import SchemaPolicy
from datacachalog.server.writing import Answer, write

router = APIRouter(prefix="/tables", tags=["tables"])


class TableLine(BaseModel):
    """A table in a list."""

    name: str = Field(examples=["sales_q1"])
    latest_snapshot_id: str | None = Field(examples=["snap-0198f2c47d1e7a3b8c5d6e7f80912a3b"])


class Table(TableLine):
    """A table. Its ETag changes with all that is here, and with nothing else."""

    namespace: str = Field(examples=["default"])
    schema_policy: SchemaPolicy
    created_at: datetime


class TableChange(BaseModel):
    """What of a table is to change."""

    model_config = ConfigDict(extra="forbid")

    schema_policy: SchemaPolicy


class Dropped(BaseModel):
    """A table that is found no more."""

    name: str
    dropped_at: datetime


class Rollback(BaseModel):
    """Which snapshot is to be the current one again."""

    model_config = ConfigDict(extra="forbid")

    snapshot_id: str = Field(
        pattern=r"^snap-[0-9a-f]{32}$", examples=["snap-0198f2c47d1e7a3b8c5d6e7f80912a3b"]
    )
    expected_current: str | None = Field(
        default=None,
        pattern=r"^snap-[0-9a-f]{32}$",
        description="the id of the snapshot that is the current one, as far as the caller knows",
    )


class RolledBack(BaseModel):
    """The snapshot that is the current one now."""

    table_name: str
    snapshot_id: str


@router.get("", responses=refusals())
def list_tables(
    caller: CallerOf,
    services: ServicesOf,
    request: Request,
    response: Response,
    namespace: Annotated[
        str | None, Query(pattern=store.NAMESPACE_PATTERN, examples=["default"])
    ] = None,
    q: Annotated[
        str | None, Query(pattern=r"^[^\x00]{1,100}$", description="a part of the table's name")
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> list[TableLine]:
    """The tables that the caller may SELECT, by name; the next page is in the `Link` header."""
    after = position(cursor, 2)
    with services.database.reading() as connection:
        rows = visible(
            connection, caller, namespace=namespace, part=q, after=after, limit=limit + 1
        )
    rows = page(request, response, rows, limit, lambda one: (one.namespace, one.name))
    return [TableLine(name=_name(one), latest_snapshot_id=one.current_snapshot_id) for one in rows]


@router.get("/{table_name}", response_model=Table, responses=KNOWN | refusals(403, 404))
def get_table(
    table_name: TableName,
    caller: CallerOf,
    services: ServicesOf,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """A table; its ETag is what `If-Match` wants of who changes it."""
    with services.database.reading() as connection:
        table = store.table_for(connection, caller, table_name, Privilege.SELECT)
    tag = tag_of(table)
    if is_known(if_none_match, tag):
        return Response(status_code=304, headers=caching(tag))
    body = _table(table).model_dump_json()
    return Response(body, media_type="application/json", headers=caching(tag))


@router.patch("/{table_name}", response_model=Table, responses=refusals(403, 404, 412, 428))
def change_table(
    table_name: TableName,
    asked: TableChange,
    caller: CallerOf,
    request: Request,
    if_match: IfMatch = None,
) -> Response:
    """Changes a table that the caller may MANAGE and has seen (`If-Match`)."""

    def change(connection: Connection) -> Answer:
        table = _held(connection, caller, table_name, Privilege.MANAGE)
        matching(if_match, tag_of(table), is_needed=True)
        store.set_schema_policy(connection, table, asked.schema_policy)
        changed = store.table_for(connection, caller, table_name, Privilege.MANAGE)
        detail = {"schema_policy": asked.schema_policy}
        return Answer(200, _table(changed), "change-table", f"table:{_name(table)}", detail=detail)

    return write(request, caller, asked, change)


@router.delete("/{table_name}", response_model=Dropped, responses=refusals(403, 404, 412))
def drop_table(
    table_name: TableName, caller: CallerOf, request: Request, if_match: IfMatch = None
) -> Response:
    """Drops a table that the caller may MANAGE. Nothing of it is deleted: see `undrop`."""

    def change(connection: Connection) -> Answer:
        table = _held(connection, caller, table_name, Privilege.MANAGE)
        matching(if_match, tag_of(table))
        body = Dropped(name=_name(table), dropped_at=store.drop(connection, caller, table))
        return Answer(200, body, "drop-table", f"table:{_name(table)}", detail={"id": table.id})

    return write(request, caller, None, change)


@router.post("/{table_name}/undrop", response_model=Table, responses=refusals(403, 404, 409))
def undrop_table(table_name: TableName, caller: CallerOf, request: Request) -> Response:
    """Brings back the table of that name that was dropped last, with its snapshots and grants."""

    def change(connection: Connection) -> Answer:
        table = store.undrop(connection, caller, table_name)
        detail = {"id": table.id}
        return Answer(200, _table(table), "undrop-table", f"table:{_name(table)}", detail=detail)

    return write(request, caller, None, change)


@router.post(
    "/{table_name}/rollback",
    response_model=RolledBack,
    responses=refusals(403, 404, 409, 412),
)
def roll_back_table(
    table_name: TableName,
    asked: Rollback,
    caller: CallerOf,
    request: Request,
    if_match: IfMatch = None,
) -> Response:
    """Makes an earlier snapshot the current one again, or a later one after that; with UPDATE."""

    def change(connection: Connection) -> Answer:
        table = _held(connection, caller, table_name, Privilege.UPDATE)
        matching(if_match, tag_of(table))
        roll_back(connection, caller, table, asked.snapshot_id, asked.expected_current)
        return Answer(
            200,
            RolledBack(table_name=_name(table), snapshot_id=asked.snapshot_id),
            "rollback",
            f"table:{_name(table)}",
            detail={"to": asked.snapshot_id, "from": table.current_snapshot_id},
        )

    return write(request, caller, asked, change)


def _held(connection: Connection, caller: CallerOf, name: str, privilege: Privilege) -> Any:
    return store.table_for(connection, caller, name, privilege, is_held=True)


def _name(table: Any) -> str:
    return store.full_name(table.namespace, table.name)


def _table(table: Any) -> Table:
    return Table(
        name=_name(table),
        namespace=table.namespace,
        latest_snapshot_id=table.current_snapshot_id,
        schema_policy=table.schema_policy,
        created_at=table.created_at,
    )

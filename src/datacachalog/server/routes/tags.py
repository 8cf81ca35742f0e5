"""The tags of a table."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from datacachalog.server.catalog import tags as store
from datacachalog.server.catalog.tables import full_name, table_for
from datacachalog.server.describing import refusals
from datacachalog.server.identity.access import Privilege
from datacachalog.server.paging import Cursor, Limit, page, position
from datacachalog.server.parameters import TableName, TagName
from datacachalog.server.web import CallerOf, ServicesOf
from datacachalog.server.writing import Answer, write

router = APIRouter(prefix="/tables/{table_name}/tags", tags=["tags"])


class TagPlace(BaseModel):
    """Where a tag is to be."""

    model_config = ConfigDict(extra="forbid")

    snapshot_id: str = Field(
        pattern=r"^snap-[0-9a-f]{32}$", examples=["snap-0198f2c47d1e7a3b8c5d6e7f80912a3b"]
    )


class Tag(BaseModel):
    """A name that a snapshot of the table has been given."""

    name: str = Field(examples=["2025-q1"])
    snapshot_id: str
    created_at: datetime = Field(description="since when it is on this snapshot")


class Removed(BaseModel):
    """A tag that is no more."""

    name: str


@router.get("", responses=refusals(403, 404))
def list_tags(
    table_name: TableName,
    caller: CallerOf,
    services: ServicesOf,
    request: Request,
    response: Response,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> list[Tag]:
    """The tags of a table, by name; the next page is in the `Link` header."""
    after = position(cursor, 1)
    with services.database.reading() as connection:
        table = table_for(connection, caller, table_name, Privilege.SELECT)
        rows = store.tags_of(connection, table, after[0] if after else None, limit + 1)
    rows = page(request, response, rows, limit, lambda one: (one.name,))
    return [_tag(one) for one in rows]


@router.put("/{tag}", response_model=Tag, responses=refusals(403, 404))
def put_tag(
    table_name: TableName, tag: TagName, asked: TagPlace, caller: CallerOf, request: Request
) -> Response:
    """Puts a tag on a snapshot of the table, wherever it was before; with UPDATE."""

    def change(connection: Connection) -> Answer:
        table = table_for(connection, caller, table_name, Privilege.UPDATE, is_held=True)
        row = store.put_tag(connection, caller, table, tag, asked.snapshot_id)
        thing = f"table:{full_name(table.namespace, table.name)}"
        detail = {"tag": tag, "to": asked.snapshot_id}
        return Answer(200, _tag(row), "put-tag", thing, detail=detail)

    return write(request, caller, asked, change)


@router.delete("/{tag}", response_model=Removed, responses=refusals(403, 404))
def delete_tag(table_name: TableName, tag: TagName, caller: CallerOf, request: Request) -> Response:
    """Takes a tag away; its snapshot stays. With UPDATE."""

    def change(connection: Connection) -> Answer:
        table = table_for(connection, caller, table_name, Privilege.UPDATE, is_held=True)
        store.remove_tag(connection, caller, table, tag)
        thing = f"table:{full_name(table.namespace, table.name)}"
        return Answer(200, Removed(name=tag), "delete-tag", thing, detail={"tag": tag})

    return write(request, caller, None, change)


def _tag(row: Any) -> Tag:
    return Tag(name=row.name, snapshot_id=row.snapshot_id, created_at=row.created_at)

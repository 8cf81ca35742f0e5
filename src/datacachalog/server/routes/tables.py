"""Tables and the snapshots that they have had."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from datacachalog.server import tables as store
from datacachalog.server.access import Privilege
from datacachalog.server.errors import InvalidProblem
from datacachalog.server.web import CallerOf, ServicesOf

router = APIRouter(prefix="/tables", tags=["tables"])


class TableLine(BaseModel):
    """A table in a list."""

    name: str = Field(examples=["sales_q1"])
    latest_snapshot_id: str | None = Field(examples=["snap-0198f2c47d1e7a3b8c5d6e7f80912a3b"])


class Snapshot(BaseModel):
    """One immutable state of a table."""

    table_name: str = Field(examples=["sales_q1"])
    snapshot_id: str = Field(examples=["snap-0198f2c47d1e7a3b8c5d6e7f80912a3b"])
    uri: str = Field(examples=["s3://lake/sales/q1.parquet"])
    format: str = Field(examples=["parquet"])
    created_at: datetime
    fields: dict[str, Any] | None = Field(serialization_alias="schema")
    seq: int
    parent_id: str | None
    row_count: int | None
    size_bytes: int
    etag: str | None
    version: str | None


@router.get("", response_model=list[TableLine])
def list_tables(
    caller: CallerOf,
    services: ServicesOf,
    request: Request,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: str | None = None,
) -> list[TableLine]:
    """The tables that the caller may SELECT, by name; the next page is in the `Link` header."""
    after = None if cursor is None else _position(cursor)
    with services.database.reading() as connection:
        rows = store.visible(connection, caller, after, limit + 1)
    if len(rows) > limit:
        last = rows[limit - 1]
        following = request.url.include_query_params(
            cursor=_cursor(last.namespace, last.name), limit=limit
        )
        response.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
    return [
        TableLine(
            name=store.full_name(one.namespace, one.name),
            latest_snapshot_id=one.current_snapshot_id,
        )
        for one in rows[:limit]
    ]


@router.get("/{table_name}/snapshots/latest", response_model=Snapshot)
def latest_snapshot(
    table_name: str, caller: CallerOf, services: ServicesOf, request: Request
) -> Response:
    """The current snapshot of a table: where its bytes are, and what they are."""
    with services.database.reading() as connection:
        table = store.table_for(connection, caller, table_name, Privilege.SELECT)
        tag = f'"{table.id}-{table.row_version}"'
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=_caching(tag))
        row = store.latest(connection, table)
    name = store.full_name(table.namespace, table.name)
    body = _snapshot(name, row).model_dump_json(by_alias=True)
    return Response(body, media_type="application/json", headers=_caching(tag))


def _caching(tag: str) -> dict[str, str]:
    return {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}


def _snapshot(name: str, row: Any) -> Snapshot:
    return Snapshot(
        table_name=name,
        snapshot_id=row.id,
        uri=row.uri,
        format=row.format,
        created_at=row.created_at,
        fields=None if row.fields is None else {"fields": row.fields},
        seq=row.seq,
        parent_id=row.parent_id,
        row_count=row.row_count,
        size_bytes=row.size_bytes,
        etag=row.etag,
        version=row.version,
    )


def _cursor(namespace: str, name: str) -> str:
    return base64.urlsafe_b64encode(f"{namespace}/{name}".encode()).decode().rstrip("=")


def _position(cursor: str) -> tuple[str, str]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        namespace, _, name = base64.urlsafe_b64decode(padded).decode().partition("/")
    except (binascii.Error, ValueError):
        raise InvalidProblem("the cursor is none that was given out") from None
    return namespace, name

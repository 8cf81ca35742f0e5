"""What runs read and wrote: recorded by them, shown to who may SELECT it."""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import insert, or_, select
from sqlalchemy.exc import IntegrityError

from datacachalog.server.catalog.tables import table_for
from datacachalog.server.errors import InvalidProblem, NotFoundProblem
from datacachalog.server.identity.access import Privilege, has_on_table
from datacachalog.server.identity.principals import now
from datacachalog.server.schema import namespaces, run_io, snapshots, tables
from datacachalog.server.values import ObjectUri, SnapshotId, TableName, canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Row

    from datacachalog.server.identity.access import Caller

MAX_DATASETS = 200


class Direction(StrEnum):
    """What a run did with a dataset."""

    INPUT = "input"
    OUTPUT = "output"


_NEEDED = {
    Direction.INPUT: (Privilege.SELECT,),
    Direction.OUTPUT: (Privilege.INSERT, Privilege.UPDATE),
}


class TableRef(BaseModel):
    """A table, maybe one snapshot of it."""

    model_config = ConfigDict(extra="forbid")

    table_name: TableName
    snapshot_id: SnapshotId | None = None


class ObjectRef(BaseModel):
    """An object that is in no table."""

    model_config = ConfigDict(extra="forbid")

    uri: ObjectUri


Dataset = TableRef | ObjectRef
"""What a run reads or writes."""


def record(
    connection: Connection,
    caller: Caller,
    run_id: str,
    direction: Direction,
    datasets: Iterable[Dataset],
) -> None:
    """Records what a run read, which its caller must be allowed to; or wrote, likewise.

    Raises:
        ForbiddenProblem: the caller lacks the privilege on a table.
        InvalidProblem: there is no such table, or a snapshot is none of it.
    """
    for one in datasets:
        if isinstance(one, ObjectRef):
            record_one(connection, run_id, direction, uri=one.uri)
            continue
        table_id = _table_id(connection, caller, one.table_name, direction)
        _require_snapshot(connection, table_id, one)
        record_one(connection, run_id, direction, table_id=table_id, snapshot_id=one.snapshot_id)


def _table_id(connection: Connection, caller: Caller, name: str, direction: Direction) -> str:
    try:
        return str(table_for(connection, caller, name, *_NEEDED[direction]).id)
    except NotFoundProblem as problem:  # which would be said of the run
        raise InvalidProblem(problem.detail, code="no-such-table") from None


def _require_snapshot(connection: Connection, table_id: str, asked: TableRef) -> None:
    if asked.snapshot_id is None:
        return
    query = select(snapshots.c.id).where(
        snapshots.c.id == asked.snapshot_id, snapshots.c.table_id == table_id
    )
    if connection.execute(query).first() is None:
        raise InvalidProblem(f"{asked.snapshot_id!r} is no snapshot of {asked.table_name!r}")


def record_one(
    connection: Connection,
    run_id: str,
    direction: Direction,
    *,
    table_id: str | None = None,
    snapshot_id: str | None = None,
    uri: str | None = None,
) -> None:
    """Records one thing that a run read or wrote; again changes nothing."""
    told = {"direction": direction, "table_id": table_id, "snapshot_id": snapshot_id, "uri": uri}
    digest = sha256(canonical(told).encode()).hexdigest()
    try:
        with connection.begin_nested():
            connection.execute(
                insert(run_io).values(run_id=run_id, sha256=digest, created_at=now(), **told)
            )
    except IntegrityError:
        pass  # it is recorded already


def of_run(connection: Connection, caller: Caller, run_id: str) -> Sequence[Row[Any]]:
    """What a run read and wrote, without the tables that the caller may not SELECT."""
    may_see = or_(run_io.c.table_id.is_(None), has_on_table(caller, Privilege.SELECT))
    return connection.execute(
        select(run_io, tables.c.name.label("table_name"), namespaces.c.name.label("namespace"))
        .outerjoin(tables, tables.c.id == run_io.c.table_id)
        .outerjoin(namespaces, namespaces.c.id == tables.c.namespace_id)
        .where(run_io.c.run_id == run_id, may_see)
        .order_by(run_io.c.created_at, run_io.c.sha256)
    ).all()

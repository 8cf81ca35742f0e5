"""A table's snapshots, which of them is the current one, and which was it when.

Snapshots never change. What changes is which one is current: that moves, and every move is kept
with its time, so that what was current at any time is known also where it went back and forth.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update

from datacachalog.server.catalog.tables import full_name
from datacachalog.server.errors import ConflictProblem, NotFoundProblem
from datacachalog.server.events.log import emit
from datacachalog.server.identity.principals import now
from datacachalog.server.ids import is_id, new_id
from datacachalog.server.schema import schemas, snapshots, table_moves, table_tags, tables

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Row

    from datacachalog.domain.objects import ObjectInfo
    from datacachalog.server.identity.access import Caller
    from datacachalog.server.work.inspecting import Field, Inspected

NONE = "none"
_NUMBER = re.compile(r"[0-9]{1,18}")  # what a database's number has room for
_TICK = timedelta(microseconds=1)
_WITH_SCHEMA = select(snapshots, schemas.c.fields).outerjoin(
    schemas, schemas.c.id == snapshots.c.schema_id
)
_CURRENT = _WITH_SCHEMA.where(snapshots.c.id == bindparam("current_id"))  # built once: see access


def latest(connection: Connection, table: Row[Any]) -> Row[Any]:
    """The current snapshot of a table.

    Raises:
        NotFoundProblem: it has none.
    """
    told = f"{full_name(table.namespace, table.name)!r} has no snapshot"
    row = connection.execute(_CURRENT, {"current_id": table.current_snapshot_id}).first()
    return _there(row, told)


def as_of(connection: Connection, table: Row[Any], at: datetime) -> Row[Any]:
    """The snapshot that was the current one of a table at that time.

    Raises:
        NotFoundProblem: the table had none yet.
    """
    was = (
        select(table_moves.c.snapshot_id)
        .where(table_moves.c.table_id == table.id, table_moves.c.at <= at)
        .order_by(table_moves.c.at.desc(), table_moves.c.number.desc())
        .limit(1)
    )
    name = full_name(table.namespace, table.name)
    told = f"{name!r} had no snapshot at {at.isoformat()} yet"
    return _found(connection, snapshots.c.id == was.scalar_subquery(), told)


def tagged(connection: Connection, table: Row[Any], tag: str) -> Row[Any]:
    """The snapshot that a tag of a table is on.

    Raises:
        NotFoundProblem: there is no such tag.
    """
    on = select(table_tags.c.snapshot_id).where(
        table_tags.c.table_id == table.id, table_tags.c.name == tag
    )
    name = full_name(table.namespace, table.name)
    told = f"{name!r} has no tag {tag!r}"
    return _found(connection, snapshots.c.id == on.scalar_subquery(), told)


def snapshot_of(connection: Connection, table: Row[Any], text: str) -> Row[Any]:
    """The snapshot of a table that has this id, or this number (`seq`).

    Raises:
        NotFoundProblem: the table has none such.
    """
    told = f"{full_name(table.namespace, table.name)!r} has no snapshot {text!r}"
    if not is_id(text, "snap") and not _NUMBER.fullmatch(text):
        raise NotFoundProblem(told)
    which = snapshots.c.seq == int(text) if text.isdigit() else snapshots.c.id == text
    return _found(connection, (snapshots.c.table_id == table.id) & which, told)


def history(
    connection: Connection, table: Row[Any], before: int | None, limit: int
) -> Sequence[Row[Any]]:
    """The snapshots of a table, the newest first, `limit` of those before a number."""
    query = select(snapshots).where(snapshots.c.table_id == table.id)
    if before is not None:
        query = query.where(snapshots.c.seq < before)
    return connection.execute(query.order_by(snapshots.c.seq.desc()).limit(limit)).all()


def _found(connection: Connection, which: ColumnElement[bool], otherwise: str) -> Row[Any]:
    return _there(connection.execute(_WITH_SCHEMA.where(which)).first(), otherwise)


def _there(row: Row[Any] | None, otherwise: str) -> Row[Any]:
    if row is None:
        raise NotFoundProblem(otherwise)
    return row


@dataclass(frozen=True, slots=True)
class Registration:
    """A snapshot that is to be."""

    table: str
    info: ObjectInfo
    format: str
    inspected: Inspected
    created_by: str
    expected_parent: str | None = None
    run_id: str | None = None

    @property
    def content_sha256(self) -> str:
        """What tells these bytes at this place from any others."""
        info = self.info
        told = "\0".join(
            [info.uri.as_uri(), info.etag or "", info.version or "", str(info.size_bytes)]
        )
        return sha256(told.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Committed:
    """A snapshot that is the current one; `is_news` where it was not before."""

    id: str
    seq: int
    is_news: bool


def commit_snapshot(connection: Connection, table: Row[Any], asked: Registration) -> Committed:
    """Makes a snapshot the current one of a held table; `tell_of` tells of it.

    What is registered is current when that is done, as a write is read by who reads after it.
    Where the table has a snapshot of the same object, format and columns, that one is it, not a
    copy of it: nothing changes where it is the current one, and else it is current again, as by
    `roll_back`. Answering with an old snapshot that stays old would tell the caller of a success
    that no reader sees, and would make a rollback something that only rollbacks can take back.

    So an attempt that comes late may bring back what others have replaced, as any last writer
    does. Who does not want that says `expected_parent`; who only repeats a request says its
    `Idempotency-Key`, and then it is done once.

    Raises:
        ConflictProblem: the current snapshot is not the expected parent.
    """
    require_current(table, asked.expected_parent)
    schema_id = _schema(connection, table.id, asked.inspected.fields)
    same = select(snapshots.c.id, snapshots.c.seq).where(
        snapshots.c.table_id == table.id,
        snapshots.c.content_sha256 == asked.content_sha256,
        snapshots.c.format == asked.format,
        snapshots.c.schema_id.is_not_distinct_from(schema_id),
    )
    known = connection.execute(same).first()
    if known is not None and known.id == table.current_snapshot_id:
        return Committed(known.id, known.seq, is_news=False)
    number, at = _next_move(connection, table)
    if known is None:
        made, seq = _insert(connection, table, asked, schema_id, at), table.seq + 1
    else:
        made, seq = known.id, known.seq
    _move(connection, table, made, number, at)
    return Committed(made, seq, is_news=True)


def tell_of(connection: Connection, table: Row[Any], asked: Registration, made: Committed) -> None:
    """Tells of a snapshot that was committed; last of all, as `emit` wants it."""
    told = {"snapshot_id": made.id, "seq": made.seq}
    about = {"table_id": table.id, "run_id": asked.run_id}
    emit(connection, "snapshot.committed", told, principal_id=asked.created_by, **about)


def roll_back(
    connection: Connection,
    caller: Caller,
    table: Row[Any],
    snapshot_id: str,
    expected: str | None,
) -> None:
    """Makes a snapshot that a held table has had the current one again.

    The table's schema policy is about what comes, and has no say in what was there already.

    Raises:
        ConflictProblem: the current snapshot is not the expected one.
        NotFoundProblem: the table has no such snapshot.
    """
    require_current(table, expected)
    found = snapshot_of(connection, table, snapshot_id)
    if found.id == table.current_snapshot_id:
        return
    _move(connection, table, found.id, *_next_move(connection, table))
    told = {"snapshot_id": found.id, "seq": found.seq, "from": table.current_snapshot_id}
    by, about = caller.principal_id, table.id
    emit(connection, "table.rolled_back", told, principal_id=by, table_id=about)


def require_current(table: Row[Any], expected: str | None) -> None:
    """Refuses where the current snapshot of a held table is not the expected one, or `none`.

    Raises:
        ConflictProblem: it is not.
    """
    current = table.current_snapshot_id or NONE
    if expected not in {None, current}:
        told = f"the current snapshot is {current}, not {expected}"
        raise ConflictProblem(told, code="parent_conflict")


def _insert(
    connection: Connection,
    table: Row[Any],
    asked: Registration,
    schema_id: str | None,
    at: datetime,
) -> str:
    """Adds a snapshot. Its number follows the last one: the table is held, so none is left out."""
    made, info = new_id("snap"), asked.info
    values = {
        "id": made,
        "table_id": table.id,
        "seq": table.seq + 1,
        "parent_id": table.current_snapshot_id,
        "uri": info.uri.as_uri(),
        "format": asked.format,
        "schema_id": schema_id,
        "row_count": asked.inspected.row_count,
        "size_bytes": info.size_bytes,
        "etag": info.etag,
        "version": info.version,
        "content_sha256": asked.content_sha256,
        "created_by": asked.created_by,
        "created_at": at,
    }
    connection.execute(insert(snapshots).values(values))
    change = update(tables).where(tables.c.id == table.id)
    connection.execute(change.values(seq=table.seq + 1))
    return made


def _next_move(connection: Connection, table: Row[Any]) -> tuple[int, datetime]:
    """The number and the time of what moves a held table now.

    The clocks of several servers differ, and some go back. The moves of a table follow each other
    in their times, too, or `as_of` would tell of another order than the one that readers saw.
    """
    of_it = select(table_moves).where(table_moves.c.table_id == table.id)
    last = connection.execute(of_it.order_by(table_moves.c.number.desc()).limit(1)).first()
    if last is None:
        return 1, now()
    return last.number + 1, max(now(), last.at + _TICK)


def _move(
    connection: Connection, table: Row[Any], snapshot_id: str, number: int, at: datetime
) -> None:
    """Makes a snapshot the current one, and keeps from when on."""
    connection.execute(
        insert(table_moves).values(table_id=table.id, number=number, snapshot_id=snapshot_id, at=at)
    )
    connection.execute(
        update(tables)
        .where(tables.c.id == table.id)
        .values(current_snapshot_id=snapshot_id, row_version=table.row_version + 1)
    )


def _schema(connection: Connection, table_id: str, fields: list[Field] | None) -> str | None:
    if fields is None:
        return None
    fingerprint = sha256(repr(fields).encode()).hexdigest()
    query = select(schemas.c.id).where(
        schemas.c.table_id == table_id, schemas.c.fingerprint == fingerprint
    )
    found = connection.execute(query).scalar()
    if found is None:
        found = new_id("schema")
        connection.execute(
            insert(schemas).values(
                id=found,
                table_id=table_id,
                fingerprint=fingerprint,
                fields=fields,
                created_at=now(),
            )
        )
    return str(found)

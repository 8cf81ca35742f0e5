"""Tables and their snapshots: found only through what the caller may see."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from datacachalog.server.access import (
    Privilege,
    has_on_catalog,
    has_on_namespace,
    has_on_table,
    is_true,
    require,
)
from datacachalog.server.errors import (
    ConflictProblem,
    ForbiddenProblem,
    InvalidProblem,
    NotFoundProblem,
)
from datacachalog.server.evolving import SchemaPolicy
from datacachalog.server.ids import new_id
from datacachalog.server.principals import now
from datacachalog.server.schema import namespaces, schemas, snapshots, tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

    from datacachalog.domain.objects import ObjectInfo
    from datacachalog.server.access import Caller
    from datacachalog.server.inspecting import Field, Inspected

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
DEFAULT_NAMESPACE = "default"


def split_name(text: str) -> tuple[str, str]:
    """The namespace and the name of a table that is called `name` or `namespace.name`.

    >>> split_name("sales_q1")
    ('default', 'sales_q1')

    Raises:
        InvalidProblem: it is no such name.
    """
    namespace, _, name = text.rpartition(".")
    namespace = namespace or DEFAULT_NAMESPACE
    if not (_NAME.fullmatch(namespace) and _NAME.fullmatch(name)):
        told = (
            "a table is named by letters, digits, '_' and '-', with its namespace and a '.' before"
        )
        raise InvalidProblem(told)
    return namespace, name


def full_name(namespace: str, name: str) -> str:
    """A table's name, with its namespace where that is not the default one."""
    return name if namespace == DEFAULT_NAMESPACE else f"{namespace}.{name}"


def visible(
    connection: Connection, caller: Caller, after: tuple[str, str] | None, limit: int
) -> Sequence[Row[Any]]:
    """The tables that the caller may SELECT, in the order of their names, `limit` after one."""
    query = (
        select(tables, namespaces.c.name.label("namespace"))
        .join(namespaces)
        .where(tables.c.deleted_at.is_(None), has_on_table(caller, Privilege.SELECT))
        .order_by(namespaces.c.name, tables.c.name)
        .limit(limit)
    )
    if after is not None:
        namespace, name = after
        later = (namespaces.c.name == namespace) & (tables.c.name > name)
        query = query.where((namespaces.c.name > namespace) | later)
    return connection.execute(query).all()


def table_for(
    connection: Connection, caller: Caller, text: str, *privileges: Privilege
) -> Row[Any]:
    """A table that the caller has one of the privileges on.

    Raises:
        ForbiddenProblem: it has not. Whether there is such a table is not told.
        NotFoundProblem: there is none, and the caller may see all there are.
    """
    namespace, name = split_name(text)
    row = connection.execute(
        select(
            tables,
            namespaces.c.name.label("namespace"),
            has_on_table(caller, *privileges).label("is_allowed"),
        )
        .join(namespaces)
        .where(namespaces.c.name == namespace, tables.c.name == name, tables.c.deleted_at.is_(None))
    ).first()
    if row is not None and row.is_allowed:
        return row
    if row is None and is_true(connection, has_on_catalog(caller, *privileges)):
        raise NotFoundProblem(f"there is no table {text!r}")
    raise ForbiddenProblem(f"{' or '.join(privileges)} on {text!r} is not granted to the caller")


def latest(connection: Connection, table: Row[Any]) -> Row[Any]:
    """The current snapshot of a table.

    Raises:
        NotFoundProblem: it has none.
    """
    row = connection.execute(
        select(snapshots, schemas.c.fields)
        .outerjoin(schemas, schemas.c.id == snapshots.c.schema_id)
        .where(snapshots.c.id == table.current_snapshot_id)
    ).first()
    if row is None:
        raise NotFoundProblem(f"{full_name(table.namespace, table.name)!r} has no snapshot")
    return row


def require_write(connection: Connection, caller: Caller, text: str) -> None:
    """Refuses who may not register a snapshot of a table: UPDATE where it is, or else INSERT.

    Raises:
        ForbiddenProblem: the caller lacks the privilege. Whether there is a table is not told.
    """
    namespace, name = split_name(text)
    of_it = select(namespaces.c.id).where(namespaces.c.name == namespace)
    namespace_id = connection.execute(of_it).scalar()
    found = connection.execute(
        select(tables.c.id, has_on_table(caller, Privilege.UPDATE).label("is_allowed")).where(
            tables.c.namespace_id == namespace_id,
            tables.c.name == name,
            tables.c.deleted_at.is_(None),
        )
    ).first()
    if found is not None and found.is_allowed:
        return
    told = f"registering a snapshot of {text!r}"
    if found is not None:
        raise ForbiddenProblem(f"{told} is not allowed to the caller")
    require(connection, has_on_namespace(caller, namespace_id, Privilege.INSERT), told)


@dataclass(frozen=True, slots=True)
class Registration:
    """A snapshot that is to be."""

    table: str
    info: ObjectInfo
    format: str
    inspected: Inspected
    created_by: str
    expected_parent: str | None = None

    @property
    def content_sha256(self) -> str:
        """What tells these bytes at this place from any others."""
        info = self.info
        told = "\0".join(
            [info.uri.as_uri(), info.etag or "", info.version or "", str(info.size_bytes)]
        )
        return sha256(told.encode()).hexdigest()


def locked_table(connection: Connection, text: str, created_by: str) -> Row[Any]:
    """The table of that name, made if need be, held against other writers to the end."""
    namespace, name = split_name(text)
    namespace_id = _namespace(connection, namespace)
    query = (
        select(tables)
        .where(
            tables.c.namespace_id == namespace_id,
            tables.c.name == name,
            tables.c.deleted_at.is_(None),
        )
        .with_for_update()
    )
    row = connection.execute(query).first()
    if row is None:
        values = {
            "id": new_id("tab"),
            "namespace_id": namespace_id,
            "name": name,
            "schema_policy": SchemaPolicy.ADDITIVE,
            "seq": 0,
            "row_version": 0,
            "created_by": created_by,
            "created_at": now(),
        }
        _insert_unless_there(connection, tables, values)
        row = connection.execute(query).one()
    return row


def _namespace(connection: Connection, name: str) -> str:
    query = select(namespaces.c.id).where(namespaces.c.name == name)
    found = connection.execute(query).scalar()
    if found is None:
        values = {"id": new_id("ns"), "name": name, "created_at": now()}
        _insert_unless_there(connection, namespaces, values)
        found = connection.execute(query).scalar_one()
    return str(found)


def _insert_unless_there(connection: Connection, into: Any, values: dict[str, Any]) -> None:
    try:
        with connection.begin_nested():
            connection.execute(insert(into).values(values))
    except IntegrityError:
        pass  # another transaction was first


def commit_snapshot(connection: Connection, table: Row[Any], asked: Registration) -> str:
    """Makes a snapshot the current one of a table that `locked_table` gave; its id.

    Where the table has a snapshot of the same object already, that one is it.

    Raises:
        ConflictProblem: the current snapshot is not the expected parent.
    """
    current = table.current_snapshot_id or "none"
    if asked.expected_parent not in {None, current}:
        told = f"the current snapshot is {current}, not {asked.expected_parent}"
        raise ConflictProblem(told, code="parent_conflict")
    same = select(snapshots.c.id).where(
        snapshots.c.table_id == table.id, snapshots.c.content_sha256 == asked.content_sha256
    )
    known = connection.execute(same).scalar()
    return str(known) if known is not None else _next_snapshot(connection, table, asked)


def _next_snapshot(connection: Connection, table: Row[Any], asked: Registration) -> str:
    made, info = new_id("snap"), asked.info
    values = {
        "id": made,
        "table_id": table.id,
        "seq": table.seq + 1,
        "parent_id": table.current_snapshot_id,
        "uri": info.uri.as_uri(),
        "format": asked.format,
        "schema_id": _schema(connection, table.id, asked.inspected.fields),
        "row_count": asked.inspected.row_count,
        "size_bytes": info.size_bytes,
        "etag": info.etag,
        "version": info.version,
        "content_sha256": asked.content_sha256,
        "created_by": asked.created_by,
        "created_at": now(),
    }
    connection.execute(insert(snapshots).values(values))
    connection.execute(
        update(tables)
        .where(tables.c.id == table.id)
        .values(current_snapshot_id=made, seq=table.seq + 1, row_version=table.row_version + 1)
    )
    return made


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

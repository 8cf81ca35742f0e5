"""Tables: found only through what the caller may see, made, dropped, and brought back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from datacachalog.server.errors import (
    ConflictProblem,
    ForbiddenProblem,
    InvalidProblem,
    NotFoundProblem,
)
from datacachalog.server.events.log import emit
from datacachalog.server.identity.access import (
    IS_GRANTED_ON_TABLE,
    Privilege,
    bound_to,
    has_on_catalog,
    has_on_namespace,
    has_on_table,
    is_true,
    require,
)
from datacachalog.server.identity.principals import now
from datacachalog.server.ids import new_id
from datacachalog.server.schema import namespaces, tables
from datacachalog.server.work.evolving import SchemaPolicy

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Row, Select

    from datacachalog.server.identity.access import Caller

_ONE = "[A-Za-z0-9][A-Za-z0-9_-]{0,99}"
NAMESPACE_PATTERN, NAME_PATTERN = rf"^{_ONE}$", rf"^({_ONE}\.)?{_ONE}$"
DEFAULT_NAMESPACE = "default"
_ATTEMPTS = 10


def split_name(text: str) -> tuple[str, str]:
    """The namespace and the name of a table that is called `name` or `namespace.name`.

    >>> split_name("sales_q1")
    ('default', 'sales_q1')

    Raises:
        InvalidProblem: it is no such name.
    """
    if re.fullmatch(NAME_PATTERN, text) is None:
        told = (
            "a table is named by letters, digits, '_' and '-', with its namespace and a '.' before"
        )
        raise InvalidProblem(told)
    namespace, _, name = text.rpartition(".")
    return namespace or DEFAULT_NAMESPACE, name


def full_name(namespace: str, name: str) -> str:
    """A table's name, with its namespace where that is not the default one."""
    return name if namespace == DEFAULT_NAMESPACE else f"{namespace}.{name}"


def table_for(
    connection: Connection,
    caller: Caller,
    text: str,
    *privileges: Privilege,
    is_held: bool = False,
) -> Row[Any]:
    """A table that the caller has one of the privileges on; held against others that hold it.

    Raises:
        ForbiddenProblem: it has not. Whether there is such a table is not told.
        NotFoundProblem: there is none, and the caller may see all there are.
    """
    row = _living(connection, caller, text, privileges, is_held=is_held)
    if row is None or not row.is_allowed:
        raise _not_for(connection, caller, text, privileges, is_there=row is not None)
    return row


def _not_for(
    connection: Connection,
    caller: Caller,
    text: str,
    privileges: tuple[Privilege, ...],
    *,
    is_there: bool,
) -> NotFoundProblem | ForbiddenProblem:
    if not is_there and is_true(connection, has_on_catalog(caller, *privileges)):
        return NotFoundProblem(f"there is no table {text!r}")
    return ForbiddenProblem(f"{' or '.join(privileges)} on {text!r} is not granted to the caller")


def _named() -> Select[Any]:
    return select(tables, namespaces.c.name.label("namespace")).join(namespaces)


_LIVING = (
    _named()
    .add_columns(IS_GRANTED_ON_TABLE.label("is_allowed"))
    .where(
        namespaces.c.name == bindparam("called_namespace"),
        tables.c.name == bindparam("called"),
        tables.c.deleted_at.is_(None),
    )
)
_LIVING_HELD = _LIVING.with_for_update(of=tables)


def _called(text: str) -> ColumnElement[bool]:
    namespace, name = split_name(text)
    return (namespaces.c.name == namespace) & (tables.c.name == name)


def _living(
    connection: Connection,
    caller: Caller,
    text: str,
    privileges: tuple[Privilege, ...],
    *,
    is_held: bool,
) -> Row[Any] | None:
    """The table of that name, and whether it `is_allowed` to the caller."""
    namespace, name = split_name(text)
    asked = {**bound_to(caller, *privileges), "called_namespace": namespace, "called": name}
    return connection.execute(_LIVING_HELD if is_held else _LIVING, asked).first()


def require_write(
    connection: Connection, caller: Caller, text: str, *, is_held: bool = False
) -> Row[Any] | None:
    """The table that the caller may register a snapshot of; None where there is none yet.

    Where there is one that takes UPDATE, and else INSERT.

    Raises:
        ForbiddenProblem: the caller lacks the privilege. Whether there is a table is not told.
    """
    found = _living(connection, caller, text, (Privilege.UPDATE,), is_held=is_held)
    if found is not None and found.is_allowed:
        return found
    told = f"registering a snapshot of {text!r}"
    if found is not None:
        raise ForbiddenProblem(f"{told} is not allowed to the caller")
    of_it = select(namespaces.c.id).where(namespaces.c.name == split_name(text)[0])
    namespace_id = connection.execute(of_it).scalar()
    require(connection, has_on_namespace(caller, namespace_id, Privilege.INSERT), told)
    return None


def table_to_write(connection: Connection, caller: Caller, text: str) -> Row[Any]:
    """The table of that name, made if need be, held against other writers to the end.

    The privilege is looked at again with the table held: it may have been made, or dropped and so
    be a new one, since anybody looked last. And once more where others make and drop it meanwhile.

    Raises:
        ForbiddenProblem: the caller lacks the privilege.
    """
    for _ in range(_ATTEMPTS):
        row = require_write(connection, caller, text, is_held=True)
        if row is None:
            row = _made(connection, caller, text)
        if row is not None:
            return row
    raise ConflictProblem(f"{text!r} is being made and dropped by others")


def _made(connection: Connection, caller: Caller, text: str) -> Row[Any] | None:
    """The new table of that name; None where another transaction was first."""
    namespace, name = split_name(text)
    values = {
        "id": new_id("tab"),
        "namespace_id": _namespace(connection, namespace),
        "name": name,
        "schema_policy": SchemaPolicy.ADDITIVE,
        "seq": 0,
        "row_version": 0,
        "created_by": caller.principal_id,
        "created_at": now(),
    }
    if not _insert_unless_there(connection, tables, values):
        return None
    return connection.execute(_named().where(tables.c.id == values["id"])).one()


def _namespace(connection: Connection, name: str) -> str:
    query = select(namespaces.c.id).where(namespaces.c.name == name)
    found = connection.execute(query).scalar()
    if found is None:
        values = {"id": new_id("ns"), "name": name, "created_at": now()}
        _insert_unless_there(connection, namespaces, values)
        found = connection.execute(query).scalar_one()
    return str(found)


def _insert_unless_there(connection: Connection, into: Any, values: dict[str, Any]) -> bool:
    """Whether it was inserted; not where another transaction was first."""
    try:
        with connection.begin_nested():
            connection.execute(insert(into).values(values))
    except IntegrityError:
        return False
    return True


def set_schema_policy(connection: Connection, table: Row[Any], policy: SchemaPolicy) -> None:
    """Says which changes of its schema a held table allows from now on."""
    _change(connection, table, schema_policy=policy)


def drop(connection: Connection, caller: Caller, table: Row[Any]) -> datetime:
    """Has a held table be found no more, and its name be free; when. `undrop` brings it back.

    Its snapshots, tags and grants stay with it: they are of this table, not of its name.
    """
    at = now()
    _change(connection, table, deleted_at=at)
    emit(connection, "table.dropped", {}, principal_id=caller.principal_id, table_id=table.id)
    return at


def undrop(connection: Connection, caller: Caller, text: str) -> Row[Any]:
    """Brings back the table that was dropped last of those of a name; with MANAGE on it.

    Raises:
        ConflictProblem: another table has the name by now.
        ForbiddenProblem: there is none that the caller may bring back.
        NotFoundProblem: there is none, and the caller may see all there are.
    """
    query = (
        _named()
        .where(
            _called(text),
            tables.c.deleted_at.is_not(None),
            has_on_table(caller, Privilege.MANAGE),
        )
        .order_by(tables.c.deleted_at.desc())
        .limit(1)
        .with_for_update(of=tables)
    )
    row = connection.execute(query).first()
    if row is None:
        raise _not_for(connection, caller, text, (Privilege.MANAGE,), is_there=False)
    try:
        with connection.begin_nested():
            _change(connection, row, deleted_at=None)
    except IntegrityError:
        told = f"another table is called {text!r} by now"
        raise ConflictProblem(told, code="name_taken") from None
    emit(connection, "table.undropped", {}, principal_id=caller.principal_id, table_id=row.id)
    return connection.execute(_named().where(tables.c.id == row.id)).one()


def _change(connection: Connection, table: Row[Any], **values: object) -> None:
    change = update(tables).where(tables.c.id == table.id)
    connection.execute(change.values(row_version=table.row_version + 1, **values))

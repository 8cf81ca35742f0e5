"""Tags: names that people give to snapshots of a table, and may put on others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select

from datacachalog.server.catalog.snapshots import snapshot_of
from datacachalog.server.catalog.tables import full_name
from datacachalog.server.errors import NotFoundProblem
from datacachalog.server.events.log import emit
from datacachalog.server.identity.principals import now
from datacachalog.server.schema import table_tags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

    from datacachalog.server.identity.access import Caller

NAME_PATTERN = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


def tags_of(
    connection: Connection, table: Row[Any], after: str | None, limit: int
) -> Sequence[Row[Any]]:
    """The tags of a table in the order of their names, `limit` after one."""
    query = select(table_tags).where(table_tags.c.table_id == table.id)
    if after is not None:
        query = query.where(table_tags.c.name > after)
    return connection.execute(query.order_by(table_tags.c.name).limit(limit)).all()


def put_tag(
    connection: Connection, caller: Caller, table: Row[Any], name: str, snapshot_id: str
) -> Row[Any]:
    """Puts a tag on a snapshot of a held table, and takes it from any other one.

    Raises:
        NotFoundProblem: the table has no such snapshot.
    """
    found = snapshot_of(connection, table, snapshot_id)
    it = (table_tags.c.table_id == table.id) & (table_tags.c.name == name)
    row = connection.execute(select(table_tags).where(it)).first()
    if row is not None and row.snapshot_id == found.id:
        return row
    connection.execute(delete(table_tags).where(it))
    values = {"name": name, "snapshot_id": found.id, "created_at": now()}
    connection.execute(insert(table_tags).values(table_id=table.id, **values))
    told, by = {"tag": name, "snapshot_id": found.id}, caller.principal_id
    emit(connection, "tag.set", told, principal_id=by, table_id=table.id)
    return connection.execute(select(table_tags).where(it)).one()


def remove_tag(connection: Connection, caller: Caller, table: Row[Any], name: str) -> None:
    """Removes a tag of a held table; its snapshot stays.

    Raises:
        NotFoundProblem: there is no such tag.
    """
    it = (table_tags.c.table_id == table.id) & (table_tags.c.name == name)
    if not connection.execute(delete(table_tags).where(it)).rowcount:
        told = f"{full_name(table.namespace, table.name)!r} has no tag {name!r}"
        raise NotFoundProblem(told)
    by = caller.principal_id
    emit(connection, "tag.removed", {"tag": name}, principal_id=by, table_id=table.id)

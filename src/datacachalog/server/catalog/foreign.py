"""Objects of other people's tables: registering one must not let anybody read what they may not.

A registration gives who may SELECT the new table the address of the object. Without a rule, INSERT
on a location and a table of one's own would open every table whose objects are in that location.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, not_, select

from datacachalog.server.catalog.tables import split_name
from datacachalog.server.errors import ForbiddenProblem
from datacachalog.server.identity.access import Privilege, has_on_table
from datacachalog.server.schema import namespaces, snapshots, tables

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from datacachalog.domain.uri import Uri
    from datacachalog.server.identity.access import Caller


def refuse_foreign(connection: Connection, caller: Caller, uri: Uri, table: str) -> None:
    """Refuses an object that is a snapshot of another table which the caller may not SELECT.

    Of a dropped table, too, and whatever version of the object it was. Not where the caller has
    registered all of these snapshots: then the object was theirs to register before it was the
    other table's. `table` is what it is to be registered as; what that has already is no news.

    An object that no table has yet is as open as its location is: give those who must not have
    each other's a location each.

    Raises:
        ForbiddenProblem: it is; its code is `location_forbidden`.
    """
    namespace, name = split_name(table)
    is_this = and_(
        namespaces.c.name == namespace, tables.c.name == name, tables.c.deleted_at.is_(None)
    )
    found = connection.execute(
        select(snapshots.c.id)
        .select_from(snapshots)
        .join(tables, tables.c.id == snapshots.c.table_id)
        .join(namespaces, namespaces.c.id == tables.c.namespace_id)
        .where(
            snapshots.c.uri == uri.as_uri(),
            snapshots.c.created_by != caller.principal_id,
            not_(is_this),
            not_(has_on_table(caller, Privilege.SELECT)),
        )
        .limit(1)
    ).first()
    if found is not None:
        told = f"{uri.as_uri()} is of a table that the caller may not SELECT"
        raise ForbiddenProblem(told, code="location_forbidden")

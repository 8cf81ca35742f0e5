"""Who may do what: grants to principals and roles, decided in SQL so that lists are filtered there.

A grant on the catalog holds for everything, one on a namespace for its tables. MANAGE holds for
every privilege. A key may be given fewer privileges than its principal has, never more.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import and_, exists, literal, or_, select

from datacachalog.server.errors import ForbiddenProblem
from datacachalog.server.schema import grants, role_members, tables

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection
    from sqlalchemy.sql.selectable import CTE


class Privilege(StrEnum):
    """What a grant allows."""

    SELECT = "SELECT"
    INSERT = "INSERT"
    UPDATE = "UPDATE"
    MANAGE = "MANAGE"


class ObjectKind(StrEnum):
    """What a grant is on."""

    CATALOG = "catalog"
    NAMESPACE = "namespace"
    TABLE = "table"
    LOCATION = "location"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request; `at_most` are the privileges of the key, None where it limits none."""

    principal_id: str
    name: str
    key_id: str
    at_most: frozenset[Privilege] | None = None

    def enough(self, *privileges: Privilege) -> list[Privilege]:
        """The privileges any of which will do for one of `privileges`, less what the key lacks."""
        wanted = {*privileges, Privilege.MANAGE}
        if self.at_most is None or Privilege.MANAGE in self.at_most:
            return sorted(wanted)
        limited = wanted & self.at_most
        # What the principal has by MANAGE it may use through a key for SELECT, too.
        return sorted(limited | {Privilege.MANAGE}) if limited else []


def has_on_catalog(caller: Caller, *privileges: Privilege) -> ColumnElement[bool]:
    """Whether the caller has one of the privileges on everything."""
    return _granted(caller, privileges, grants.c.object_kind == ObjectKind.CATALOG)


def has_on_table(caller: Caller, *privileges: Privilege) -> ColumnElement[bool]:
    """Whether the caller has one of the privileges on the table of the row at hand."""
    return _granted(
        caller,
        privileges,
        or_(
            grants.c.object_kind == ObjectKind.CATALOG,
            and_(
                grants.c.object_kind == ObjectKind.NAMESPACE,
                grants.c.object_id == tables.c.namespace_id,
            ),
            and_(grants.c.object_kind == ObjectKind.TABLE, grants.c.object_id == tables.c.id),
        ),
    )


def has_on_namespace(
    caller: Caller, namespace_id: str | None, *privileges: Privilege
) -> ColumnElement[bool]:
    """Whether the caller has one of the privileges on a namespace, which may not exist yet."""
    on = grants.c.object_kind == ObjectKind.CATALOG
    if namespace_id is not None:
        of_it = and_(
            grants.c.object_kind == ObjectKind.NAMESPACE, grants.c.object_id == namespace_id
        )
        on = or_(on, of_it)
    return _granted(caller, privileges, on)


def has_on_location(
    caller: Caller, location_id: str, *privileges: Privilege
) -> ColumnElement[bool]:
    """Whether the caller has one of the privileges on a storage location."""
    return _granted(
        caller,
        privileges,
        or_(
            grants.c.object_kind == ObjectKind.CATALOG,
            and_(grants.c.object_kind == ObjectKind.LOCATION, grants.c.object_id == location_id),
        ),
    )


def is_true(connection: Connection, condition: ColumnElement[bool]) -> bool:
    """What a condition on no row comes to."""
    return bool(connection.execute(select(condition)).scalar())


def require(connection: Connection, condition: ColumnElement[bool], what: str) -> None:
    """Refuses, as `what` is not allowed, unless the condition holds.

    Raises:
        ForbiddenProblem: it does not.
    """
    if not is_true(connection, condition):
        raise ForbiddenProblem(f"{what} is not allowed to the caller")


def _granted(
    caller: Caller, privileges: tuple[Privilege, ...], on: ColumnElement[bool]
) -> ColumnElement[bool]:
    enough = caller.enough(*privileges)
    mine = _grantees(caller)
    return exists(
        select(literal(1)).where(
            grants.c.privilege.in_(enough),
            on,
            exists(
                select(literal(1))
                .select_from(mine)
                .where(mine.c.kind == grants.c.grantee_kind, mine.c.id == grants.c.grantee_id)
            ),
        )
    )


def _grantees(caller: Caller) -> CTE:
    """The caller's principal, and all roles that it has, also by way of other roles."""
    own = select(literal("principal").label("kind"), literal(caller.principal_id).label("id"))
    found = own.cte("grantees", recursive=True)
    roles = select(literal("role").label("kind"), role_members.c.role_id.label("id")).where(
        role_members.c.member_kind == found.c.kind, role_members.c.member_id == found.c.id
    )
    return found.union(roles)  # not UNION ALL: roles in a circle end

"""Who may do what: grants to principals and roles, decided in SQL so that lists are filtered there.

A grant on the catalog holds for everything, one on a namespace for its tables. MANAGE holds for
every privilege. A key may be given fewer privileges than its principal has, never more.

The registry's own command line is a caller, too: none, `None`, who may do everything.

Building a condition takes longer than answering it. What every request asks is built once, with
places for the caller, which `bound_to` fills.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import String, and_, bindparam, exists, literal, or_, select, union_all

from datacachalog.server.errors import ForbiddenProblem
from datacachalog.server.schema import grants, role_members, roles, tables

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import BindParameter, ColumnElement, Connection, Select
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
    """Who makes a request; `at_most` are the privileges of the key, None where it limits none.

    Who comes with a token has no key, and for this request also the roles that the token names.
    """

    principal_id: str
    name: str
    key_id: str | None
    at_most: frozenset[Privilege] | None = None
    expires_at: datetime | None = None
    role_ids: frozenset[str] = frozenset()

    @property
    def is_limited(self) -> bool:
        """Whether the key allows less than its principal may do."""
        return self.at_most is not None and Privilege.MANAGE not in self.at_most

    def enough(self, *privileges: Privilege) -> list[Privilege]:
        """The privileges any of which will do for one of `privileges`, less what the key lacks."""
        wanted = {*privileges, Privilege.MANAGE}
        if self.at_most is None or not self.is_limited:
            return sorted(wanted)
        limited = wanted & self.at_most
        # What the principal has by MANAGE it may use through a key for SELECT, too.
        return sorted(limited | {Privilege.MANAGE}) if limited else []


@dataclass(frozen=True, slots=True)
class _By:
    """Who a condition is about: a caller, or places for one."""

    principal_id: BindParameter[str]
    role_ids: BindParameter[list[str]]
    enough: BindParameter[list[str]]


def _by(caller: Caller, *privileges: Privilege) -> _By:
    told = bound_to(caller, *privileges)
    return _By(*(bindparam(name, value, unique=True) for name, value in told.items()))


def bound_to(caller: Caller, *privileges: Privilege) -> dict[str, Any]:
    """What a statement with `IS_GRANTED_ON_TABLE` or the like is executed with."""
    return {
        "by_principal_id": caller.principal_id,
        "by_role_ids": sorted(caller.role_ids),
        "by_enough": caller.enough(*privileges),
    }


def has_on_catalog(caller: Caller, *privileges: Privilege) -> ColumnElement[bool]:
    """Whether the caller has one of the privileges on everything."""
    return _granted(_by(caller, *privileges), grants.c.object_kind == ObjectKind.CATALOG)


def has_on_table(caller: Caller, *privileges: Privilege) -> ColumnElement[bool]:
    """Whether the caller has one of the privileges on the table of the row at hand."""
    return _granted(_by(caller, *privileges), _ON_TABLE)


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
    return _granted(_by(caller, *privileges), on)


def has_on_location(
    caller: Caller, location_id: str, *privileges: Privilege
) -> ColumnElement[bool]:
    """Whether the caller has one of the privileges on a storage location."""
    return _granted(
        _by(caller, *privileges),
        or_(
            grants.c.object_kind == ObjectKind.CATALOG,
            and_(grants.c.object_kind == ObjectKind.LOCATION, grants.c.object_id == location_id),
        ),
    )


def has_on_object(
    caller: Caller,
    kind: ColumnElement[str],
    object_id: ColumnElement[str],
    *privileges: Privilege,
) -> ColumnElement[bool]:
    """Whether the caller has one of the privileges on what `kind` and `object_id` name."""
    of_it = select(tables.c.namespace_id).where(tables.c.id == object_id)
    its_namespace = of_it.correlate_except(tables).scalar_subquery()
    return _granted(
        _by(caller, *privileges),
        or_(
            grants.c.object_kind == ObjectKind.CATALOG,
            and_(grants.c.object_kind == kind, grants.c.object_id == object_id),
            and_(
                kind == ObjectKind.TABLE,
                grants.c.object_kind == ObjectKind.NAMESPACE,
                grants.c.object_id == its_namespace,
            ),
        ),
    )


def is_grantee(
    caller: Caller, kind: ColumnElement[str], grantee_id: ColumnElement[str]
) -> ColumnElement[bool]:
    """Whether a grantee is the caller, or a role that the caller has."""
    mine = _grantees(_by(caller))
    return exists(select(literal(1)).where(mine.c.kind == kind, mine.c.id == grantee_id))


def roles_of(connection: Connection, caller: Caller) -> list[str]:
    """The names of all roles that the caller has, also by way of other roles."""
    has_it = is_grantee(caller, literal("role"), roles.c.id)
    return list(connection.execute(select(roles.c.name).where(has_it).order_by("name")).scalars())


def is_administrator(connection: Connection, by: Caller | None) -> bool:
    """Whether `by` may do everything."""
    return by is None or is_true(connection, has_on_catalog(by, Privilege.MANAGE))


def require_administrator(connection: Connection, by: Caller | None, what: str) -> None:
    """Refuses, as `what` is not allowed, whoever may not do everything.

    Raises:
        ForbiddenProblem: `by` may not.
    """
    if not is_administrator(connection, by):
        raise ForbiddenProblem(f"{what} is for administrators, who have MANAGE on the catalog")


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


def _granted(by: _By, on: ColumnElement[bool]) -> ColumnElement[bool]:
    mine = _grantees(by)
    return exists(
        select(literal(1)).where(
            grants.c.privilege.in_(by.enough),
            on,
            exists(
                select(literal(1))
                .select_from(mine)
                .where(mine.c.kind == grants.c.grantee_kind, mine.c.id == grants.c.grantee_id)
            ),
        )
    )


def _grantees(by: _By) -> CTE:
    """The caller's principal, and all roles that it has, also by way of other roles."""
    principal = select(literal("principal").label("kind"), by.principal_id.label("id"))
    own_roles = select(literal("role").label("kind"), roles.c.id).where(roles.c.id.in_(by.role_ids))
    all_own = union_all(principal, own_roles).subquery()
    found = select(all_own.c.kind, all_own.c.id).cte(recursive=True)
    more = select(literal("role").label("kind"), role_members.c.role_id.label("id")).where(
        role_members.c.member_kind == found.c.kind, role_members.c.member_id == found.c.id
    )
    return found.union(more)  # not UNION ALL: roles in a circle end


_ON_TABLE = or_(
    grants.c.object_kind == ObjectKind.CATALOG,
    and_(grants.c.object_kind == ObjectKind.NAMESPACE, grants.c.object_id == tables.c.namespace_id),
    and_(grants.c.object_kind == ObjectKind.TABLE, grants.c.object_id == tables.c.id),
)
_PLACES = _By(
    bindparam("by_principal_id", type_=String),
    bindparam("by_role_ids", expanding=True),
    bindparam("by_enough", expanding=True),
)
IS_GRANTED_ON_TABLE = _granted(_PLACES, _ON_TABLE)
"""`has_on_table` with places for the caller and the privileges: see `bound_to`."""
IS_GRANTED_ON_CATALOG = _granted(_PLACES, grants.c.object_kind == ObjectKind.CATALOG)
"""`has_on_catalog` with such places."""


def granted(kind: ObjectKind) -> Select[tuple[str]]:
    """The ids of what of a kind the caller is granted by itself, with such places."""
    mine = _grantees(_PLACES)
    return (
        select(grants.c.object_id)
        .join(mine, and_(mine.c.kind == grants.c.grantee_kind, mine.c.id == grants.c.grantee_id))
        .where(grants.c.privilege.in_(_PLACES.enough), grants.c.object_kind == kind)
    )

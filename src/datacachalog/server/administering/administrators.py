"""That somebody can always administer the registry: the last one cannot be removed.

An administrator is a principal who is not disabled, has MANAGE on the catalog, also by way of
roles, and a valid key that is not limited to less. Who comes with a token does not count: its
issuer may be gone, or take the role away, and nobody here would know.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import and_, select, text

from datacachalog.server.errors import ConflictProblem
from datacachalog.server.identity.access import ObjectKind, Privilege
from datacachalog.server.identity.principals import is_valid_key, now
from datacachalog.server.schema import api_keys, grants, principals, role_members

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

_LOCK = 0x61_64_6D_6E  # any number that no other program takes


@contextmanager
def keeping_an_administrator(connection: Connection) -> Iterator[None]:
    """Refuses what is done in the block where it leaves no administrator, but there was one.

    One transaction does such a thing at a time: two that each remove one of the last two
    administrators would not see each other.

    Raises:
        ConflictProblem: it does.
    """
    if connection.dialect.name == "postgresql":  # SQLite has one writer anyway
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    there_was_one = has_administrator(connection)
    yield
    if there_was_one and not has_administrator(connection):
        told = "it would leave no administrator with a key; make another one first"
        raise ConflictProblem(told, code="last-administrator")


def has_administrator(connection: Connection) -> bool:
    """Whether anybody can administer the registry with a key that is valid now."""
    granted = select(grants.c.grantee_kind.label("kind"), grants.c.grantee_id.label("id")).where(
        grants.c.privilege == Privilege.MANAGE, grants.c.object_kind == ObjectKind.CATALOG
    )
    found = granted.cte("administrators", recursive=True)
    members = select(role_members.c.member_kind, role_members.c.member_id).where(
        found.c.kind == "role", role_members.c.role_id == found.c.id
    )
    found = found.union(members)
    is_theirs = and_(found.c.kind == "principal", found.c.id == principals.c.id)
    keys = select(api_keys.c.privileges).join(principals).join(found, is_theirs)
    limits = connection.execute(keys.where(is_valid_key(now()))).scalars()
    return any(one is None or Privilege.MANAGE in one for one in limits)

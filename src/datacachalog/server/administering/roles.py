"""Roles: granted to as principals are, and had by principals and by other roles."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field
from sqlalchemy import and_, delete, func, insert, literal, or_, select
from sqlalchemy.exc import IntegrityError

from datacachalog.server.administering.administrators import keeping_an_administrator
from datacachalog.server.administering.naming import Asked, Grantee, Name
from datacachalog.server.administering.principals import known_principal
from datacachalog.server.errors import ConflictProblem, NotFoundProblem
from datacachalog.server.identity.access import Caller, require_administrator
from datacachalog.server.identity.principals import now
from datacachalog.server.ids import new_id
from datacachalog.server.paging import Page, page_of
from datacachalog.server.schema import grants, principals, role_members, roles
from datacachalog.server.writing import Answer

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

_WHAT = "the administration of roles"
ROLE = "role:"


class NewRole(Asked):
    """A role that is to be."""

    name: Name


class NewMember(Asked):
    """Who is to have a role."""

    member: Grantee


class Role(BaseModel):
    """What may be granted to, and had."""

    name: str = Field(examples=["analysts"])
    created_at: datetime


class RoleWithMembers(Role):
    """A role, and who has it."""

    members: list[str]


class Member(BaseModel):
    """Who has a role."""

    member: str = Field(examples=["etl", "role:staff"])


def list_roles(connection: Connection, by: Caller | None, page: Page | None = None) -> list[Role]:
    """All roles, by name.

    Raises:
        ForbiddenProblem: the caller is no administrator.
    """
    require_administrator(connection, by, _WHAT)
    return [_role(row) for row in page_of(connection, select(roles), roles.c.name, page)]


def list_members(
    connection: Connection, by: Caller | None, role: str, page: Page | None = None
) -> list[Member]:
    """Who has a role, by name.

    Raises:
        ForbiddenProblem: the caller is no administrator.
        NotFoundProblem: there is no such role.
    """
    require_administrator(connection, by, _WHAT)
    role_id = known_role(connection, role).id
    other = roles.alias("other")
    name = func.coalesce(principals.c.name, literal(ROLE) + other.c.name)
    is_principal = and_(
        role_members.c.member_kind == "principal", role_members.c.member_id == principals.c.id
    )
    is_role = and_(role_members.c.member_kind == "role", role_members.c.member_id == other.c.id)
    query = (
        select(name.label("member"))
        .select_from(role_members)
        .outerjoin(principals, is_principal)
        .outerjoin(other, is_role)
        .where(role_members.c.role_id == role_id, name.is_not(None))
    )
    return [Member(member=row.member) for row in page_of(connection, query, name, page)]


def make_role(connection: Connection, by: Caller | None, asked: NewRole) -> Answer:
    """Makes a role, which nobody has.

    Raises:
        ForbiddenProblem: the caller is no administrator.
        ConflictProblem: there is one of that name.
    """
    require_administrator(connection, by, _WHAT)
    try:
        with connection.begin_nested():
            values = {"id": new_id("role"), "name": asked.name, "created_at": now()}
            connection.execute(insert(roles).values(values))
    except IntegrityError:
        raise ConflictProblem(f"there is a role {asked.name!r} already") from None
    body = _role(known_role(connection, asked.name))
    return Answer(201, body, action="make-role", object=f"{ROLE}{asked.name}")


def delete_role(connection: Connection, by: Caller | None, name: str) -> Answer:
    """Erases a role with all that it was granted.

    Raises:
        ForbiddenProblem: the caller is no administrator.
        NotFoundProblem: there is no such role.
        ConflictProblem: nobody would be left to administer.
    """
    require_administrator(connection, by, _WHAT)
    row = known_role(connection, name)
    is_member = and_(role_members.c.member_kind == "role", role_members.c.member_id == row.id)
    with keeping_an_administrator(connection):
        in_it = or_(role_members.c.role_id == row.id, is_member)
        connection.execute(delete(role_members).where(in_it))
        to_it = (grants.c.grantee_kind == "role", grants.c.grantee_id == row.id)
        connection.execute(delete(grants).where(*to_it))
        connection.execute(delete(roles).where(roles.c.id == row.id))
    return Answer(200, _role(row), action="delete-role", object=f"{ROLE}{name}")


def add_member(connection: Connection, by: Caller | None, role: str, member: str) -> Answer:
    """Gives a role to a principal, or to `role:NAME`; again changes nothing.

    Raises:
        ForbiddenProblem: the caller is no administrator.
        NotFoundProblem: there is no such role or member.
    """
    require_administrator(connection, by, _WHAT)
    values = _membership(connection, role, member)
    status = 200
    if connection.execute(select(role_members).filter_by(**values)).first() is None:
        try:
            with connection.begin_nested():
                connection.execute(insert(role_members).values(**values, created_at=now()))
            status = 201
        except IntegrityError:  # another transaction was first, or has deleted the role
            known_role(connection, role)
    return _answer(status, "add-member", role, member)


def remove_member(connection: Connection, by: Caller | None, role: str, member: str) -> Answer:
    """Takes a role from a principal, or from `role:NAME`.

    Raises:
        ForbiddenProblem: the caller is no administrator.
        NotFoundProblem: there is no such role or member.
        ConflictProblem: nobody would be left to administer.
    """
    require_administrator(connection, by, _WHAT)
    values = _membership(connection, role, member)
    with keeping_an_administrator(connection):
        if not connection.execute(delete(role_members).filter_by(**values)).rowcount:
            raise NotFoundProblem(f"{member!r} does not have the role {role!r}")
    return _answer(200, "remove-member", role, member)


def known_role(connection: Connection, name: str) -> Row[Any]:
    """The role of that name.

    Raises:
        NotFoundProblem: there is none.
    """
    row = connection.execute(select(roles).where(roles.c.name == name)).first()
    if row is None:
        raise NotFoundProblem(f"there is no role {name!r}")
    return row


def grantee(connection: Connection, text: str) -> tuple[str, str]:
    """The kind and the id of a principal, or of `role:NAME`.

    Raises:
        NotFoundProblem: there is none.
    """
    if text.startswith(ROLE):
        return "role", known_role(connection, text.removeprefix(ROLE)).id
    return "principal", known_principal(connection, text).id


def _membership(connection: Connection, role: str, member: str) -> dict[str, str]:
    role_id = known_role(connection, role).id
    kind, member_id = grantee(connection, member)
    return {"role_id": role_id, "member_kind": kind, "member_id": member_id}


def _answer(status: int, action: str, role: str, member: str) -> Answer:
    body = Member(member=member)
    return Answer(status, body, action=action, object=f"{ROLE}{role}", detail={"member": member})


def _role(row: Row[Any]) -> Role:
    return Role(name=row.name, created_at=row.created_at)

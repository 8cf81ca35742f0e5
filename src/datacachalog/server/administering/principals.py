"""Principals: who calls. Those who have done something are disabled, and never erased."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from datacachalog.server.administering.administrators import keeping_an_administrator
from datacachalog.server.administering.naming import Asked, Name
from datacachalog.server.errors import ConflictProblem, NotFoundProblem
from datacachalog.server.identity.access import Caller, require_administrator
from datacachalog.server.identity.principals import create_principal, now
from datacachalog.server.paging import Page, page_of
from datacachalog.server.schema import api_keys, audit, grants, principals, role_members
from datacachalog.server.writing import Answer

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

_WHAT = "the administration of principals"


class NewPrincipal(Asked):
    """A principal that is to be."""

    name: Name
    kind: Literal["user", "service"] = "service"


class Principal(BaseModel):
    """Who may call."""

    name: str = Field(examples=["etl"])
    kind: str = Field(description="user, service, or token: who came with one.")
    issuer: str | None = Field(description="Of the tokens that it comes with.")
    subject: str | None
    created_at: datetime
    disabled_at: datetime | None


class RemovedPrincipal(Principal):
    """A principal that was to be removed."""

    is_erased: bool = Field(description="False where it has done something, and is disabled.")


def list_principals(
    connection: Connection, by: Caller | None, page: Page | None = None
) -> list[Principal]:
    """All principals, by name.

    Raises:
        ForbiddenProblem: the caller is no administrator.
    """
    require_administrator(connection, by, _WHAT)
    rows = page_of(connection, select(principals), principals.c.name, page)
    return [_principal(row) for row in rows]


def make_principal(connection: Connection, by: Caller | None, asked: NewPrincipal) -> Answer:
    """Makes a principal, who may nothing yet.

    Raises:
        ForbiddenProblem: the caller is no administrator.
        ConflictProblem: there is one of that name.
    """
    require_administrator(connection, by, _WHAT)
    try:
        with connection.begin_nested():
            create_principal(connection, asked.name, asked.kind)
    except IntegrityError:
        raise ConflictProblem(f"there is a principal {asked.name!r} already") from None
    body = _principal(known_principal(connection, asked.name))
    return Answer(201, body, action="make-principal", object=f"principal:{asked.name}")


def disable_principal(
    connection: Connection, by: Caller | None, name: str, *, is_disabled: bool = True
) -> Answer:
    """Has nobody call as a principal any more, or again: keys, tokens and tasks of it are refused.

    Raises:
        ForbiddenProblem: the caller is no administrator.
        NotFoundProblem: there is no such principal.
        ConflictProblem: it is the last administrator.
    """
    require_administrator(connection, by, _WHAT)
    row = known_principal(connection, name)
    with keeping_an_administrator(connection):
        _disable(connection, row, is_disabled=is_disabled)
    action = "disable-principal" if is_disabled else "enable-principal"
    body = _principal(known_principal(connection, name))
    return Answer(200, body, action=action, object=f"principal:{name}")


def remove_principal(connection: Connection, by: Caller | None, name: str) -> Answer:
    """Erases a principal, its keys and grants; disables it where anything refers to it.

    Raises:
        ForbiddenProblem: the caller is no administrator.
        NotFoundProblem: there is no such principal.
        ConflictProblem: it is the last administrator.
    """
    require_administrator(connection, by, _WHAT)
    row = known_principal(connection, name)
    with keeping_an_administrator(connection):
        is_erased = _is_erased(connection, row.id)
        if not is_erased:
            _disable(connection, row, is_disabled=True)
            row = known_principal(connection, name)
    action = "erase-principal" if is_erased else "disable-principal"
    body = RemovedPrincipal(**_principal(row).model_dump(), is_erased=is_erased)
    return Answer(200, body, action=action, object=f"principal:{name}")


def known_principal(connection: Connection, name: str) -> Row[Any]:
    """The principal of that name.

    Raises:
        NotFoundProblem: there is none.
    """
    row = connection.execute(select(principals).where(principals.c.name == name)).first()
    if row is None:
        raise NotFoundProblem(f"there is no principal {name!r}")
    return row


def _disable(connection: Connection, row: Row[Any], *, is_disabled: bool) -> None:
    if is_disabled != (row.disabled_at is not None):
        change = update(principals).where(principals.c.id == row.id)
        connection.execute(change.values(disabled_at=now() if is_disabled else None))


def _is_erased(connection: Connection, principal_id: str) -> bool:
    """Erases a principal that nothing refers to; False where something does."""
    acted = select(audit.c.id).where(audit.c.principal_id == principal_id).limit(1)
    if connection.execute(acted).first() is not None:
        return False
    member = (
        role_members.c.member_kind == "principal",
        role_members.c.member_id == principal_id,
    )
    grantee = (grants.c.grantee_kind == "principal", grants.c.grantee_id == principal_id)
    try:
        with connection.begin_nested():
            connection.execute(delete(role_members).where(*member))
            connection.execute(delete(grants).where(*grantee))
            connection.execute(delete(api_keys).where(api_keys.c.principal_id == principal_id))
            connection.execute(delete(principals).where(principals.c.id == principal_id))
    except IntegrityError:  # a table, a snapshot or a task is its
        return False
    return True


def _principal(row: Row[Any]) -> Principal:
    return Principal.model_validate(row, from_attributes=True)

"""Grants: who may do what on the catalog, a namespace, a table or a location."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field
from sqlalchemy import and_, delete, false, func, literal, or_, select
from sqlalchemy.exc import IntegrityError

from datacachalog.server.administering.administrators import keeping_an_administrator
from datacachalog.server.administering.naming import Asked, Grantee, Thing
from datacachalog.server.administering.roles import ROLE, grantee
from datacachalog.server.catalog.locations import Location, all_locations
from datacachalog.server.catalog.tables import full_name, split_name
from datacachalog.server.errors import ForbiddenProblem, InvalidProblem, NotFoundProblem
from datacachalog.server.identity.access import (
    Caller,
    ObjectKind,
    Privilege,
    has_on_object,
    is_administrator,
    is_grantee,
    is_true,
)
from datacachalog.server.identity.principals import create_grant
from datacachalog.server.paging import Page, page_of
from datacachalog.server.schema import grants, locations, namespaces, principals, roles, tables
from datacachalog.server.writing import Answer

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Row


class NewGrant(Asked):
    """A grant that is to be."""

    privilege: Privilege
    on: Thing
    to: Grantee


class Grant(BaseModel):
    """Who may do what, on what."""

    id: str = Field(examples=["grant-0198f2c47d1e7a3b8c5d6e7f80912a3b"])
    privilege: Privilege
    on: str = Field(examples=["table:sales.orders"])
    to: str = Field(examples=["role:analysts"])
    created_at: datetime


def list_grants(
    connection: Connection,
    by: Caller | None,
    page: Page | None = None,
    *,
    to: str | None = None,
    on: str | None = None,
) -> list[Grant]:
    """The grants to the caller and its roles, and those on what it manages, as they were made."""
    query = _grants()
    if by is not None and not is_administrator(connection, by):
        kind, thing = _listed.c.object_kind, _listed.c.object_id
        is_own = is_grantee(by, _listed.c.grantee_kind, _listed.c.grantee_id)
        query = query.where(or_(is_own, has_on_object(by, kind, thing, Privilege.MANAGE)))
    if to is not None:
        query = query.where(_is_to(connection, to))
    if on is not None:
        of_kind, object_id = thing_of(connection, on)
        is_on = (_listed.c.object_kind == of_kind, _listed.c.object_id == object_id)
        query = query.where(*is_on if object_id is not None else [false()])
    return [_grant(row) for row in page_of(connection, query, _listed.c.id, page)]


def make_grant(connection: Connection, by: Caller | None, asked: NewGrant) -> Answer:
    """Grants a privilege; again changes nothing.

    Raises:
        ForbiddenProblem: the caller does not manage the thing. Whether it is there is not told.
        NotFoundProblem: there is no such thing, principal or role.
    """
    kind, object_id = thing_of(connection, asked.on)
    _require_manage(connection, by, kind, object_id, f"granting on {asked.on!r}")
    if object_id is None:
        raise NotFoundProblem(f"there is no {kind} {asked.on.partition(':')[2]!r}")
    grantee_kind, grantee_id = grantee(connection, asked.to)
    is_it = (
        _listed.c.grantee_kind == grantee_kind,
        _listed.c.grantee_id == grantee_id,
        _listed.c.privilege == asked.privilege,
        _listed.c.object_kind == kind,
        _listed.c.object_id == object_id,
    )
    status, known = 200, connection.execute(_grants().where(*is_it)).first()
    if known is None:
        status, to_role = 201, grantee_kind == "role"
        try:
            with connection.begin_nested():
                create_grant(
                    connection, grantee_id, asked.privilege, kind, object_id, to_role=to_role
                )
        except IntegrityError:
            status = 200  # another transaction was first
        known = connection.execute(_grants().where(*is_it)).one()
    return _answer(status, "grant", known)


def revoke_grant(connection: Connection, by: Caller | None, grant_id: str) -> Answer:
    """Takes a grant back.

    Raises:
        ForbiddenProblem: the caller does not manage what it is on. Whether it is there is not told.
        NotFoundProblem: there is no such grant.
        ConflictProblem: nobody would be left to administer.
    """
    row = connection.execute(_grants().where(_listed.c.id == grant_id)).first()
    kind = ObjectKind.CATALOG if row is None else ObjectKind(row.object_kind)
    object_id = None if row is None else row.object_id
    _require_manage(connection, by, kind, object_id, f"revoking the grant {grant_id!r}")
    if row is None:
        raise NotFoundProblem(f"there is no grant {grant_id!r}")
    with keeping_an_administrator(connection):
        connection.execute(delete(grants).where(grants.c.id == grant_id))
    return _answer(200, "revoke-grant", row)


def _answer(status: int, action: str, row: Row[Any]) -> Answer:
    body = _grant(row)
    detail = {"privilege": body.privilege, "to": body.to, "grant_id": body.id}
    return Answer(status, body, action=action, object=body.on, detail=detail)


def _require_manage(
    connection: Connection,
    by: Caller | None,
    kind: ObjectKind,
    object_id: str | None,
    what: str,
) -> None:
    if by is None:
        return
    allowed = has_on_object(by, literal(kind), literal(object_id or ""), Privilege.MANAGE)
    if not is_true(connection, allowed):
        raise ForbiddenProblem(f"{what} is not allowed to the caller")


_listed = grants.alias("listed")
_its_table = tables.alias("its_table")
_of_table = namespaces.alias("of_table")


def _grants() -> Any:
    """All grants, with the names of what they are on and of whom they are to."""
    kind, thing = _listed.c.object_kind, _listed.c.object_id
    own = and_(kind == ObjectKind.NAMESPACE, thing == namespaces.c.id)
    of_location = and_(kind == ObjectKind.LOCATION, thing == locations.c.id)
    to_principal = and_(
        _listed.c.grantee_kind == "principal", _listed.c.grantee_id == principals.c.id
    )
    to_role = and_(_listed.c.grantee_kind == "role", _listed.c.grantee_id == roles.c.id)
    return (
        select(
            _listed,
            func.coalesce(principals.c.name, literal(ROLE) + roles.c.name).label("to"),
            namespaces.c.name.label("namespace"),
            _its_table.c.name.label("table"),
            _of_table.c.name.label("of_table"),
            *(locations.c[one] for one in ("scheme", "bucket", "prefix")),
        )
        .select_from(_listed)
        .outerjoin(namespaces, own)
        .outerjoin(_its_table, and_(kind == ObjectKind.TABLE, thing == _its_table.c.id))
        .outerjoin(_of_table, _its_table.c.namespace_id == _of_table.c.id)
        .outerjoin(locations, of_location)
        .outerjoin(principals, to_principal)
        .outerjoin(roles, to_role)
    )


def _grant(row: Row[Any]) -> Grant:
    match ObjectKind(row.object_kind):
        case ObjectKind.CATALOG:
            on = "catalog"
        case ObjectKind.NAMESPACE:
            on = f"namespace:{row.namespace}"
        case ObjectKind.TABLE:
            on = f"table:{full_name(row.of_table, row.table)}"
        case ObjectKind.LOCATION:
            place = Location(row.object_id, row.scheme, row.bucket, row.prefix, {})
            on = f"location:{place.root}"
    return Grant(
        id=row.id,
        privilege=row.privilege,
        on=on,
        to=row.to or f"{row.grantee_kind}:{row.grantee_id}",
        created_at=row.created_at,
    )


def _is_to(connection: Connection, to: str) -> ColumnElement[bool]:
    try:
        kind, grantee_id = grantee(connection, to)
    except NotFoundProblem:
        return false()
    return and_(_listed.c.grantee_kind == kind, _listed.c.grantee_id == grantee_id)


def thing_of(connection: Connection, text: str) -> tuple[ObjectKind, str | None]:
    """The kind and the id of a thing such as `table:sales`; no id where there is none."""
    kind, _, name = text.partition(":")
    match kind:
        case "catalog" if not name:
            return ObjectKind.CATALOG, ""
        case "namespace":
            query = select(namespaces.c.id).where(namespaces.c.name == name)
        case "table":
            namespace, table = split_name(name)
            query = (
                select(tables.c.id)
                .join(namespaces)
                .where(
                    namespaces.c.name == namespace,
                    tables.c.name == table,
                    tables.c.deleted_at.is_(None),
                )
            )
        case "location":
            roots = {one.root: one.id for one in all_locations(connection)}
            return ObjectKind.LOCATION, roots.get(name)
        case _:
            told = "a privilege is on catalog, namespace:NAME, table:NAME or location:URI"
            raise InvalidProblem(told)
    return ObjectKind(kind), connection.execute(query).scalar()

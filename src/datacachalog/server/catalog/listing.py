"""Tables listed by name, each page at the same cost however many others there are.

What a caller may see follows from its grants, which are few; asking of each table whether it is
granted would read all tables for a page of those that one may see.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, case, func, select, true, union

from datacachalog.server.identity.access import (
    IS_GRANTED_ON_CATALOG,
    ObjectKind,
    Privilege,
    bound_to,
    granted,
)
from datacachalog.server.schema import namespaces, tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, CompoundSelect, Connection, Row, Select

    from datacachalog.server.identity.access import Caller

_IS_ALL = select(IS_GRANTED_ON_CATALOG)


def visible(
    connection: Connection,
    caller: Caller,
    *,
    namespace: str | None = None,
    part: str | None = None,
    after: tuple[str, ...] | None = None,
    limit: int,
) -> Sequence[Row[Any]]:
    """The tables that the caller may SELECT, in the order of their names, `limit` after one.

    `part` is a part of their names, in upper or lower case.
    """
    by = bound_to(caller, Privilege.SELECT)
    asked: dict[str, Any] = {"limit": limit}
    if namespace is not None:
        asked["in_namespace"] = namespace
    if part is not None:
        asked["like"] = "%" + re.sub(r"([/%_])", r"/\1", part.lower()) + "%"
    if after is not None:
        asked["after_namespace"], asked["after_name"] = after
    is_postgresql = connection.dialect.name == "postgresql"
    listing = _Listing(is_postgresql, namespace is not None, part is not None, after is not None)
    if connection.execute(_IS_ALL, by).scalar():
        return connection.execute(_all(listing), asked).all()
    return connection.execute(_granted(listing), {**by, **asked}).all()


@dataclass(frozen=True, slots=True)
class _Listing:
    """What a list is narrowed by, and where it is asked for."""

    is_postgresql: bool
    has_namespace: bool
    has_part: bool
    has_after: bool


@cache
def _all(listing: _Listing) -> Select[Any]:
    return _walk(listing, true())


@cache
def _granted(listing: _Listing) -> CompoundSelect[Any]:
    inside = _walk(listing, namespaces.c.id.in_(granted(ObjectKind.NAMESPACE)))
    alone = _joined(
        _namespaces(listing), _tables(listing) & tables.c.id.in_(granted(ObjectKind.TABLE))
    )
    both = union(select(inside.subquery()), select(alone.subquery()))
    return both.order_by("namespace", "name").limit(bindparam("limit"))


def _namespaces(listing: _Listing) -> ColumnElement[bool]:
    found: ColumnElement[bool] = true()
    if listing.has_namespace:
        found &= namespaces.c.name == bindparam("in_namespace")
    if listing.has_after:
        found &= namespaces.c.name >= bindparam("after_namespace")
    return found


def _tables(listing: _Listing) -> ColumnElement[bool]:
    found: ColumnElement[bool] = tables.c.deleted_at.is_(None)
    if listing.has_part:  # LIKE heeds case on PostgreSQL only
        found &= func.lower(tables.c.name).like(bindparam("like"), escape="/")
    if listing.has_after:  # not with OR: an index would not begin there
        is_there = namespaces.c.name == bindparam("after_namespace")
        found &= tables.c.name > case((is_there, bindparam("after_name")), else_="")
    return found


def _walk(listing: _Listing, of_namespace: ColumnElement[bool]) -> Select[Any]:
    """The tables of some namespaces, read in their order from where the page begins."""
    of_namespace &= _namespaces(listing)
    if not listing.is_postgresql:
        return _joined(of_namespace, _tables(listing))
    # PostgreSQL would sort all tables of a namespace; so it has `limit` of them to sort.
    inside = (
        select(tables.c.name, tables.c.current_snapshot_id)
        .where(tables.c.namespace_id == namespaces.c.id, _tables(listing))
        .order_by(tables.c.name)
        .limit(bindparam("limit"))
        .correlate(namespaces)
        .lateral()
    )
    return (
        select(namespaces.c.name.label("namespace"), inside.c.name, inside.c.current_snapshot_id)
        .join_from(namespaces, inside, true())
        .where(of_namespace)
        .order_by(namespaces.c.name, inside.c.name)
        .limit(bindparam("limit"))
    )


def _joined(of_namespace: ColumnElement[bool], of_table: ColumnElement[bool]) -> Select[Any]:
    return (
        select(namespaces.c.name.label("namespace"), tables.c.name, tables.c.current_snapshot_id)
        .join_from(namespaces, tables)
        .where(of_namespace, of_table)
        .order_by(namespaces.c.name, tables.c.name)
        .limit(bindparam("limit"))
    )

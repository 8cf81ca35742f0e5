"""Following events: those that a caller wants, and may know of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, or_, select

from datacachalog.server.catalog.tables import split_name
from datacachalog.server.events.log import last_seq, require_kept
from datacachalog.server.identity.access import Privilege, has_on_catalog, has_on_table
from datacachalog.server.schema import events, namespaces, runs, tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Row

    from datacachalog.server.identity.access import Caller


_LOOKED_THROUGH = 10_000  # events at once, of which few may be wanted


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events a reader wants: of one of the types, about a table, of a job's runs."""

    types: tuple[str, ...] = ()
    table: str | None = None
    job: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Some events, all of them up to `upto`."""

    rows: Sequence[Row[Any]]
    upto: int
    is_last: bool


def read_after(
    connection: Connection, caller: Caller, after: int, wanted: Wanted, limit: int
) -> Batch:
    """The next events that the caller may know of, at most `limit`.

    Raises:
        PrunedProblem: some of them are not kept any more.
    """
    newest = last_seq(connection)
    upto = min(newest, after + _LOOKED_THROUGH)
    rows: Sequence[Row[Any]] = []
    if upto > after:
        query = _visible(caller, wanted)
        query = query.where(events.c.seq > after, events.c.seq <= upto).limit(limit)
        rows = connection.execute(query).all()
    # Asked for after the events: what was pruned before they were read is seen here.
    require_kept(connection, after)
    if len(rows) == limit:
        upto = rows[-1].seq
    return Batch(rows, upto, is_last=upto >= newest)


def _visible(caller: Caller, wanted: Wanted) -> Any:
    may_see = or_(
        has_on_catalog(caller, Privilege.MANAGE),
        and_(events.c.table_id.is_not(None), has_on_table(caller, Privilege.SELECT)),
        and_(events.c.table_id.is_(None), events.c.principal_id == caller.principal_id),
    )
    return (
        select(
            events,
            tables.c.name.label("table_name"),
            namespaces.c.name.label("namespace"),
            runs.c.job_name,
        )
        .outerjoin(tables, tables.c.id == events.c.table_id)
        .outerjoin(namespaces, namespaces.c.id == tables.c.namespace_id)
        .outerjoin(runs, runs.c.id == events.c.run_id)
        .where(may_see, *_of(wanted))
        .order_by(events.c.seq)
    )


def _of(wanted: Wanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.types:
        found.append(events.c.type.in_(wanted.types))
    if wanted.table is not None:
        namespace, name = split_name(wanted.table)
        found += [namespaces.c.name == namespace, tables.c.name == name]
    if wanted.job is not None:
        found.append(runs.c.job_name == wanted.job)
    return found

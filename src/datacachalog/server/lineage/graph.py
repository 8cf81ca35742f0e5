"""The lineage of tables: a job's runs lead from each table that they read to each that they wrote.

A reader of both tables may know of the job and the run between them, though not of more of the run.
What is behind a table that the caller may not SELECT is not followed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from datacachalog.server.catalog.tables import full_name
from datacachalog.server.identity.access import Privilege, has_on_table
from datacachalog.server.lineage.io import Direction
from datacachalog.server.schema import namespaces, run_io, runs, tables

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Any

    from sqlalchemy import Connection, FromClause, Row, Select

    from datacachalog.server.identity.access import Caller

MAX_EDGES = 1000


@dataclass(frozen=True, slots=True)
class Edge:
    """A job that made the table `target` of the table `source`, and its newest run that did."""

    source: str
    target: str
    job_name: str
    run_id: str


def edges_from(
    connection: Connection, caller: Caller, table_id: str, *, is_upstream: bool, depth: int
) -> tuple[list[Edge], bool]:
    """The edges up to `depth` jobs away, the nearest first; and whether there are more of them."""
    found: list[Edge] = []
    names = _named(connection, table_id)
    level = {table_id}
    for _ in range(depth):
        rows = _level(connection, caller, level, is_upstream=is_upstream)
        level = {row.there_id for row in rows} - names.keys()
        names |= {row.there_id: full_name(row.namespace, row.name) for row in rows}
        for row in rows:
            ends = (names[row.there_id], names[row.here_id])
            found.append(Edge(*(ends if is_upstream else ends[::-1]), row.job_name, row.run_id))
        if not level or len(found) > MAX_EDGES:
            break
    return found[:MAX_EDGES], bool(level) or len(found) > MAX_EDGES


def _named(connection: Connection, table_id: str) -> dict[str, str]:
    query = select(namespaces.c.name, tables.c.name).join_from(tables, namespaces)
    namespace, name = connection.execute(query.where(tables.c.id == table_id)).one()
    return {table_id: full_name(namespace, name)}


def _level(
    connection: Connection, caller: Caller, here: Collection[str], *, is_upstream: bool
) -> Sequence[Row[Any]]:
    """The edges that lead on from some tables, one for each job between two of them."""
    near, far = run_io.alias("near"), run_io.alias("far")
    ends = (Direction.OUTPUT, Direction.INPUT)
    of_near, of_far = ends if is_upstream else ends[::-1]
    ranked = (
        _joined(near, far)
        .where(
            near.c.table_id.in_(here),
            near.c.direction == of_near,
            far.c.direction == of_far,
            has_on_table(caller, Privilege.SELECT),
        )
        .subquery()
    )
    order = (ranked.c.namespace, ranked.c.name, ranked.c.job_name, ranked.c.here_id)
    query = select(ranked).where(ranked.c.age == 1).order_by(*order).limit(MAX_EDGES + 1)
    return connection.execute(query).all()


def _joined(near: FromClause, far: FromClause) -> Select[Any]:
    newest = func.row_number().over(
        partition_by=(near.c.table_id, far.c.table_id, runs.c.job_name),
        order_by=(runs.c.created_at.desc(), runs.c.id.desc()),
    )
    return (
        select(
            near.c.table_id.label("here_id"),
            far.c.table_id.label("there_id"),
            tables.c.name,
            namespaces.c.name.label("namespace"),
            runs.c.job_name,
            runs.c.id.label("run_id"),
            newest.label("age"),
        )
        .join_from(near, far, far.c.run_id == near.c.run_id)
        .join(runs, runs.c.id == near.c.run_id)
        .join(tables, tables.c.id == far.c.table_id)
        .join(namespaces, namespaces.c.id == tables.c.namespace_id)
    )

"""Lineage: which tables were made of a table, and which it was made of."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from datacachalog.server.catalog.tables import full_name, table_for
from datacachalog.server.describing import refusals
from datacachalog.server.errors import ForbiddenProblem, NotFoundProblem
from datacachalog.server.identity.access import Privilege
from datacachalog.server.lineage.graph import MAX_EDGES, edges_from
from datacachalog.server.values import TableName
from datacachalog.server.web import CallerOf, ServicesOf

router = APIRouter(tags=["lineage"])


class Edge(BaseModel):
    """A job that made one table of another."""

    source: str = Field(examples=["users_raw"])
    target: str = Field(examples=["users_curated"])
    job_name: str = Field(examples=["daily_users"])
    last_run_id: str = Field(description="of the newest run that did")


class Lineage(BaseModel):
    """What a table was made of, or what was made of it, the nearest first."""

    table_name: str = Field(examples=["users_curated"])
    direction: str = Field(examples=["upstream"])
    edges: list[Edge]
    is_cut: bool = Field(description=f"there are more than {MAX_EDGES} edges, or deeper ones")


@router.get("/tables/{table_name}/lineage", responses=refusals(ForbiddenProblem, NotFoundProblem))
def table_lineage(
    table_name: TableName,
    caller: CallerOf,
    services: ServicesOf,
    direction: Annotated[Literal["upstream", "downstream"], Query()] = "upstream",
    depth: Annotated[int, Query(ge=1, le=20)] = 5,
) -> Lineage:
    """What a table was made of, or what was made of it, as far as the caller may SELECT it."""
    with services.database.reading() as connection:
        table = table_for(connection, caller, table_name, Privilege.SELECT)
        found, is_cut = edges_from(
            connection, caller, table.id, is_upstream=direction == "upstream", depth=depth
        )
    return Lineage(
        table_name=full_name(table.namespace, table.name),
        direction=direction,
        edges=[
            Edge(
                source=one.source, target=one.target, job_name=one.job_name, last_run_id=one.run_id
            )
            for one in found
        ],
        is_cut=is_cut,
    )

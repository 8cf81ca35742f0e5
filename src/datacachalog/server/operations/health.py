"""Whether the server lives, whether it can serve, and what it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from fastapi import FastAPI, Request, Response
from sqlalchemy.exc import SQLAlchemyError

from datacachalog.server.errors import UnavailableProblem
from datacachalog.server.identity.access import Privilege, has_on_catalog, require
from datacachalog.server.operations.metrics import METRICS_TYPE
from datacachalog.server.web import caller

if TYPE_CHECKING:
    from datacachalog.server.database import Database
    from datacachalog.server.operations.metrics import Metrics

_PATIENCE_S = 3


def add_health(app: FastAPI, database: Database, metrics: Metrics, *, is_open: bool) -> None:
    """`/healthz`, `/readyz` and `/metrics`; the last needs no key where it `is_open`."""

    @app.get("/healthz", include_in_schema=False)
    async def alive() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", include_in_schema=False)
    async def ready() -> dict[str, str]:
        with anyio.move_on_after(_PATIENCE_S):
            # In a thread of its own: those of the requests may all wait for the database.
            await anyio.to_thread.run_sync(
                refuse_unready, database, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1)
            )
            return {"status": "ok"}
        raise UnavailableProblem(f"the database does not answer within {_PATIENCE_S} s")

    @app.get("/metrics", include_in_schema=False)
    def counted(request: Request) -> Response:
        if not is_open:
            who = caller(request)
            with database.reading() as connection:
                require(connection, has_on_catalog(who, Privilege.SELECT), "reading the metrics")
        return Response(metrics.text(), media_type=METRICS_TYPE)


def refuse_unready(database: Database) -> None:
    """Raises UnavailableProblem unless the database answers, in the form that is needed."""
    try:
        with database.reading() as connection:
            revisions = database.revisions(connection)
    except SQLAlchemyError as error:
        raise UnavailableProblem("the database does not answer") from error
    if not revisions.is_newest:
        told = f"the database has the form {revisions.found}, not {revisions.known[0]}"
        raise UnavailableProblem(f"{told}: 'datlake migrate', or a newer program")

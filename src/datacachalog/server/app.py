"""The HTTP API."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import TYPE_CHECKING

from anyio import CapacityLimiter
from fastapi import Depends, FastAPI, Request

from datacachalog.server.api_docs import add_docs
from datacachalog.server.describing import PROBLEM_TYPE, described
from datacachalog.server.errors import TooLargeProblem
from datacachalog.server.events.streaming import Feed
from datacachalog.server.identity.tokens import tokens_of
from datacachalog.server.operations.health import add_health
from datacachalog.server.operations.metrics import Metrics
from datacachalog.server.operations.observing import API, Observed
from datacachalog.server.routes import (
    access,
    administration,
    datasets,
    events,
    jobs,
    lineage,
    runs,
    snapshots,
    tables,
    tags,
)
from datacachalog.server.settings import ServerSettings
from datacachalog.server.transfer.bucket_objects import Buckets
from datacachalog.server.transfer.uploads import Uploads
from datacachalog.server.web import Services, add_problems, plain, refusal

if TYPE_CHECKING:
    from typing import Any

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from datacachalog.server.database import Database
    from datacachalog.server.work.worker import Worker

MAX_JSON_BYTES = 1 << 20


class _Api(FastAPI):
    """An app that tells all its refusals in one form, and says so.

    No `middleware("http")`: that puts a queue before streams, and one that is cut off in it stays.
    """

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = described(super().openapi(), API)
        return self.openapi_schema

    def build_middleware_stack(self) -> ASGIApp:
        inner = super().build_middleware_stack()

        async def told(scope: Scope, receive: Receive, send: Send) -> None:
            is_refused = False

            async def send_told(message: Message) -> None:
                nonlocal is_refused
                if message["type"] == "http.response.start" and message["status"] == 413:
                    kind = dict(message["headers"]).get(b"content-type", b"")
                    is_refused = not kind.startswith(PROBLEM_TYPE.encode())
                    if is_refused:
                        problem = TooLargeProblem("the body is larger than it may be")
                        await refusal(Request(scope), problem)(scope, receive, send)
                if not is_refused:
                    await send(message)

            await inner(scope, receive, send_told)

        return Observed(told, self.state.metrics)


def create_app(
    database: Database, worker: Worker | None, settings: ServerSettings | None = None
) -> FastAPI:
    """The API on a database; `worker` is told when there is something to do."""
    settings = settings or ServerSettings()
    app = _Api(
        title="Datlake registry",
        version=version("datacachalog"),
        max_body_size=MAX_JSON_BYTES,
        dependencies=[Depends(plain)],
        docs_url=None,
        redoc_url=None,
    )
    tokens = tokens_of(settings)
    # Forty threads, which is what `def` routes may take, fight over the interpreter: 64 connections
    # got 640 answers in a second, and by two threads 970 (SQLite, 2 cores). A database elsewhere
    # keeps its thread waiting, so that it has more of them.
    quick = CapacityLimiter(2 if database.is_sqlite else 4)
    app.state.services = Services(database, worker, quick, tokens, settings.link_local_endpoints)
    app.state.feed = Feed(database)
    app.state.metrics = Metrics(database)
    app.state.uploads = Uploads(
        database, settings.own_root(), settings.max_upload_bytes, Buckets(os.environ)
    )
    add_problems(app)
    for one in (tables, snapshots, tags, jobs, runs, lineage, events, access, administration):
        app.include_router(one.router, prefix=API)
    app.include_router(datasets.router(settings.max_upload_bytes), prefix=API)
    add_health(app, database, app.state.metrics, is_open=settings.metrics_open)
    add_docs(app)
    return app

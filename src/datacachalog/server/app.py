"""The HTTP API."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response
from sqlalchemy import text

from datacachalog.server.errors import TooLargeProblem
from datacachalog.server.routes import jobs, tables
from datacachalog.server.web import PROBLEM_TYPE, Services, add_problems, refusal, request_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from datacachalog.server.database import Database
    from datacachalog.server.worker import Worker

MAX_JSON_BYTES = 1 << 20


class _Api(FastAPI):
    """An app whose own refusal of large bodies is told in the form of all others."""

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

        return told


def create_app(database: Database, worker: Worker | None) -> FastAPI:
    """The API on a database; `worker` is told when there is something to do."""
    app = _Api(
        title="Datlake registry",
        version=version("datacachalog"),
        max_body_size=MAX_JSON_BYTES,
    )
    app.state.services = Services(database, worker)
    add_problems(app)
    for one in (tables, jobs):
        app.include_router(one.router, prefix="/api/v1")

    @app.middleware("http")
    async def named(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = await call_next(request)
        response.headers["X-Request-Id"] = request_id(request)
        return response

    @app.get("/healthz", include_in_schema=False)
    def alive() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", include_in_schema=False)
    def ready() -> dict[str, str]:
        with database.reading() as connection:
            connection.execute(text("SELECT 1"))
        return {"status": "ok"}

    return app

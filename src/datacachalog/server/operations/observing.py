"""Every request is named, timed, counted and logged, here and nowhere else."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from datacachalog.server.web import request_id

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from datacachalog.server.operations.metrics import Metrics

_log = logging.getLogger("datlake.access")
API = "/api/v1"
_UNKNOWN = "(none)"
_QUIET = {"/healthz", "/readyz", "/metrics"}  # asked for every few seconds


class Observed:
    """An app whose requests are observed."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        named, started, status = request_id(Request(scope)), time.perf_counter(), 500

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [one for one in message["headers"] if one[0].lower() != b"x-request-id"]
                message["headers"] = [*headers, (b"x-request-id", named.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        finally:
            self._told(scope, named, status, time.perf_counter() - started)

    def _told(self, scope: Scope, named: str, status: int, seconds: float) -> None:
        route = route_of(scope)
        self._metrics.answered(scope["method"], route, status, seconds)
        level = logging.DEBUG if route in _QUIET and status < 400 else logging.INFO
        told = {
            "request_id": named,
            "principal": scope.get("state", {}).get("principal"),
            "method": scope["method"],
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 1),
        }
        _log.log(level, "%s %s %d", scope["method"], route, status, extra={"told": told})


def route_of(scope: Scope) -> str:
    """The template of a request's path, such as `/api/v1/tables/{table_name}`."""
    route: Any = scope.get("route")
    if route is None:
        return _UNKNOWN
    # A route of an included router knows its path in there only.
    is_inside = scope["path"].startswith(f"{API}/") and not route.path.startswith(API)
    return f"{API}{route.path}" if is_inside else str(route.path)

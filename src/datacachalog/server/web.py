"""What all routes share: who calls, the database, and how refusals are told (RFC 9457)."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from datacachalog.server.describing import PROBLEM_TYPE
from datacachalog.server.errors import (
    InvalidProblem,
    Problem,
    UnauthenticatedProblem,
    UnavailableProblem,
)
from datacachalog.server.identity.principals import caller_of_key
from datacachalog.server.identity.tokens import caller_of_token
from datacachalog.server.ids import new_id
from datacachalog.server.plain import require_plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anyio import CapacityLimiter
    from fastapi import FastAPI

    from datacachalog.server.database import Database
    from datacachalog.server.identity.tokens import Tokens
    from datacachalog.server.work.worker import Worker

from datacachalog.server.identity.access import Caller

_log = logging.getLogger(__name__)
_MOST_ERRORS = 20  # that are told of one body, which may have a hundred thousand
_LONGEST_NAME = 200
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_PROBLEMS = "urn:datacachalog:problem:"


@dataclass(frozen=True, slots=True)
class Services:
    """What the app works with; `quick` is of the threads that answer what is asked most."""

    database: Database
    worker: Worker | None
    quick: CapacityLimiter
    tokens: Tokens | None = None
    link_local_endpoints: bool = False


def services(request: Request) -> Services:
    """What the app of this request works with."""
    found: Services = request.app.state.services
    return found


async def _services(request: Request) -> Services:
    return services(request)  # async, or it would be sent to a thread


def request_id(request: Request) -> str:
    """The id of this request: the caller's, or one of our own."""
    known = getattr(request.state, "request_id", None)
    if known is None:
        given = request.headers.get("x-request-id", "")
        known = given if _REQUEST_ID.fullmatch(given) else new_id("req")
        request.state.request_id = known
    return str(known)


def caller(request: Request) -> Caller:
    """Who makes this request, with an API key or with a token.

    Raises:
        UnauthenticatedProblem: nobody whose key or token is valid.
        KeysUnavailableProblem: tokens cannot be checked now.
    """
    given = request.headers.getlist("authorization")
    if len(given) != 1:
        raise UnauthenticatedProblem("send one header 'Authorization: Bearer <API key>'")
    scheme, _, token = given[0].partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise UnauthenticatedProblem("send one header 'Authorization: Bearer <API key>'")
    who = _known(services(request), token.strip())
    request.state.principal = who.name  # for the log
    return who


def _known(services: Services, text: str) -> Caller:
    if services.tokens is not None and not text.startswith("dlk_"):
        return caller_of_token(services.database, services.tokens, text)
    with services.database.reading() as connection:
        return caller_of_key(connection, text)


async def plain(request: Request) -> None:
    """Refuses what nothing here can hold, whatever the route makes of it.

    Raises:
        InvalidProblem: see `require_plain`.
    """
    require_plain([*request.path_params.values(), *request.query_params.values()])
    # What FastAPI has parsed for a route that takes JSON; of an upload nothing is parsed.
    require_plain(getattr(request, "_json", None))


CallerOf = Annotated[Caller, Depends(caller)]
ServicesOf = Annotated[Services, Depends(_services)]


def add_problems(app: FastAPI) -> None:
    """Tells every refusal in one form."""
    app.exception_handler(Problem)(refusal)
    app.exception_handler(DataError)(_unstorable)

    for kind in (OperationalError, InterfaceError, PoolTimeoutError):
        app.exception_handler(kind)(_database_failed)

    @app.exception_handler(Exception)
    def unforeseen(request: Request, _: Exception) -> JSONResponse:
        detail = "the server's log has it, under the request's id"
        return _told(request, 500, "internal", "The server failed", detail, {})

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [
            {"where": ".".join(map(str, one["loc"]))[:_LONGEST_NAME], "problem": one["msg"]}
            for one in error.errors()[:_MOST_ERRORS]
        ]
        detail = "; ".join(f"{one['where']}: {one['problem']}" for one in errors[:3])
        return _told(
            request, 422, "invalid", "The request is not valid", detail, {"errors": errors}
        )

    app.exception_handler(HTTPException)(_refused_by_http)


def _refused_by_http(request: Request, error: HTTPException) -> JSONResponse:
    headers, detail = error.headers, str(error.detail)
    if error.status_code == 404:  # no route; what a route does not find, it says itself
        path = request.url.path[:_LONGEST_NAME]
        detail = f"there is nothing at {path!r}; the API is below '/api/v1/'"
    if error.status_code == 405:
        headers = {"Allow": ", ".join(_allowed(request))}
    code = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}
    return _told(
        request,
        error.status_code,
        code.get(error.status_code, "bad-request"),
        str(error.detail),
        detail,
        {},
        headers,
    )


def _allowed(request: Request) -> list[str]:
    """What may be asked of a path; Starlette names the methods of one of its routes only."""
    routes = request.app.router.routes
    return [
        method
        for method in _METHODS
        if any(one.matches({**request.scope, "method": method})[0] is Match.FULL for one in routes)
    ]


def _database_failed(request: Request, error: DBAPIError | PoolTimeoutError) -> JSONResponse:
    """Locked, full, restarting, gone: whatever it is, the same request may succeed later."""
    _log.warning("the database failed: %s", type(error.__cause__ or error).__name__)
    request.app.state.metrics.database_failed()
    return refusal(request, UnavailableProblem("the database does not answer now; try again"))


def _unstorable(request: Request, error: DataError) -> JSONResponse:
    """What got past the models: a value that is too long, say."""
    _log.warning("request %s holds what the database cannot: %s", request_id(request), error.orig)
    return refusal(request, InvalidProblem("it holds a value that cannot be kept"))


def refusal(request: Request, problem: Problem) -> JSONResponse:
    """The answer that tells of a problem."""
    headers = dict(problem.headers)
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    code = str(problem.more.get("code", problem.code))
    more = {name: value for name, value in problem.more.items() if name != "code"}
    return _told(request, problem.status, code, problem.title, problem.detail, more, headers)


def _told(
    request: Request,
    status: int,
    code: str,
    title: str,
    detail: str,
    more: Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    body = {
        "type": _PROBLEMS + code,
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": request_id(request),
        **more,
    }
    return JSONResponse(
        body,
        status,
        headers={**(headers or {}), "X-Request-Id": body["request_id"]},
        media_type=PROBLEM_TYPE,
    )

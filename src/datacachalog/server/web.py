"""What all routes share: who calls, the database, and how refusals are told (RFC 9457)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from datacachalog.server.errors import Problem, UnauthenticatedProblem
from datacachalog.server.ids import new_id
from datacachalog.server.principals import caller_of_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI

    from datacachalog.server.database import Database
    from datacachalog.server.worker import Worker

from datacachalog.server.access import Caller

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
PROBLEM_TYPE = "application/problem+json"
_PROBLEMS = "urn:datacachalog:problem:"


@dataclass(frozen=True, slots=True)
class Services:
    """What the app works with."""

    database: Database
    worker: Worker | None


def services(request: Request) -> Services:
    """What the app of this request works with."""
    found: Services = request.app.state.services
    return found


def request_id(request: Request) -> str:
    """The id of this request: the caller's, or one of our own."""
    known = getattr(request.state, "request_id", None)
    if known is None:
        given = request.headers.get("x-request-id", "")
        known = given if _REQUEST_ID.fullmatch(given) else new_id("req")
        request.state.request_id = known
    return str(known)


def caller(request: Request) -> Caller:
    """Who makes this request.

    Raises:
        UnauthenticatedProblem: nobody whose key is valid.
    """
    given = request.headers.getlist("authorization")
    if len(given) != 1:
        raise UnauthenticatedProblem("send one header 'Authorization: Bearer <API key>'")
    scheme, _, token = given[0].partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise UnauthenticatedProblem("send one header 'Authorization: Bearer <API key>'")
    with services(request).database.reading() as connection:
        return caller_of_key(connection, token.strip())


CallerOf = Annotated[Caller, Depends(caller)]
ServicesOf = Annotated[Services, Depends(services)]


def add_problems(app: FastAPI) -> None:
    """Tells every refusal in one form."""
    app.exception_handler(Problem)(refusal)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [
            {"where": ".".join(map(str, one["loc"])), "problem": one["msg"]}
            for one in error.errors()
        ]
        detail = "; ".join(f"{one['where']}: {one['problem']}" for one in errors[:3])
        return _told(
            request, 422, "invalid", "The request is not valid", detail, {"errors": errors}
        )

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> JSONResponse:
        code = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}
        return _told(
            request,
            error.status_code,
            code.get(error.status_code, "bad-request"),
            str(error.detail),
            str(error.detail),
            {},
            error.headers,
        )


def refusal(request: Request, problem: Problem) -> JSONResponse:
    """The answer that tells of a problem."""
    headers = {"WWW-Authenticate": "Bearer"} if problem.status == 401 else {}
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

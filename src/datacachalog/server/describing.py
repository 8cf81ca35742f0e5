"""What OpenAPI says beyond the routes: how refusals look, and how callers are known."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from datacachalog.server.errors import (
    InvalidProblem,
    Problem,
    TooLargeProblem,
    UnauthenticatedProblem,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PROBLEM_TYPE = "application/problem+json"
_KEY = "apiKey"
_OF_FASTAPI = ("HTTPValidationError", "ValidationError")
_METHODS = {"get", "put", "post", "delete", "patch", "head", "options"}
_WRITES = _METHODS - {"get", "head", "options"}
_REPEATABLE = {"/jobs/{job_name}/runs/{run_id}/heartbeat"}  # with no record of it

IDEMPOTENCY_KEY = r"[\x21-\x7e]{1,255}"
_IDEMPOTENCY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and the same request are done once, and answered the same, "
    "for 30 days.",
    "schema": {"type": "string", "pattern": f"^{IDEMPOTENCY_KEY}$"},
    "example": "0198f2c4-7d1e-7a3b-8c5d-6e7f80912a3b",
}


class Refusal(BaseModel):
    """Why a request was not served (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["urn:datacachalog:problem:forbidden"])
    title: str = Field(examples=["The caller may not do this"])
    status: int = Field(examples=[403])
    code: str = Field(description="stable, for programs", examples=["forbidden"])
    detail: str = Field(examples=["SELECT on 'sales_q1' is not granted to the caller"])
    request_id: str = Field(examples=["req-0198f2c47d1e7a3b8c5d6e7f80912a3b"])


class UnreadableProblem(Problem):
    """A body that is nothing of what a body can be, such as JSON of a million brackets."""

    title = "The body cannot be read"


def refusals(*which: type[Problem] | int) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that refuses with these problems, or statuses.

    Left out is what every route has: 401, 422 and 503, and 400 and 413 of those that take a body.

    >>> sorted(refusals(InvalidProblem))
    [422]
    """
    told: dict[int | str, dict[str, Any]] = {}
    for one in which:
        status, title = _named(one)
        if status in told:
            title = f"{told[status]['description']}; or: {title}"
        schema = {"$ref": f"#/components/schemas/{Refusal.__name__}"}
        told[status] = {"description": title, "content": {PROBLEM_TYPE: {"schema": schema}}}
    return told


KNOWN: dict[int | str, dict[str, Any]] = {304: {"description": "It is what the caller has already"}}


def _named(which: type[Problem] | int) -> tuple[int, str]:
    if isinstance(which, int):
        return which, HTTPStatus(which).phrase
    return which.status, which.title


def described(document: dict[str, Any], prefix: str) -> dict[str, Any]:
    """The document with what all operations below `prefix` share."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _OF_FASTAPI:  # its own form of refusals, which is never sent
        schemas.pop(name, None)
    schemas[Refusal.__name__] = Refusal.model_json_schema()
    document["components"]["securitySchemes"] = {
        _KEY: {"type": "http", "scheme": "bearer", "description": "an API key: `dlk_…`"}
    }
    for path, method, operation in _operations(document, prefix):
        if method in _WRITES and path not in _REPEATABLE:
            operation.setdefault("parameters", []).append(_IDEMPOTENCY_PARAMETER)
        operation["security"] = [{_KEY: []}]
        common: list[type[Problem] | int] = [UnauthenticatedProblem, InvalidProblem, 503]
        if "requestBody" in operation:
            common += [UnreadableProblem, TooLargeProblem]
        answers = operation["responses"]
        if _OF_FASTAPI[0] in str(answers.get("422")):
            del answers["422"]
        for status, answer in refusals(*common).items():
            answers.setdefault(str(status), answer)
        operation["responses"] = dict(sorted(answers.items()))
    return document


def _operations(document: dict[str, Any], prefix: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Of each its path below `prefix`, its method, and what is said of it."""
    for path, item in document["paths"].items():
        if path.startswith(prefix):
            for method, operation in item.items():
                if method in _METHODS:
                    yield path.removeprefix(prefix), method, operation

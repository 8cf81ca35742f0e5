"""How everything is written: once, however often it is asked for, and with a record of who did it.

What a request changes, its answer under its `Idempotency-Key`, and its line in the audit are one
transaction: a key is known only if its change was made, and no failure is ever repeated from it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from fastapi import Response
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from datacachalog.server.errors import InvalidProblem, Problem
from datacachalog.server.ids import new_id
from datacachalog.server.principals import now
from datacachalog.server.schema import audit, idempotency
from datacachalog.server.web import request_id, services

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import Request
    from pydantic import BaseModel
    from sqlalchemy import Connection

    from datacachalog.server.access import Caller

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_REPLAYED = "Idempotent-Replayed"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a change is answered with, and what the audit says of it."""

    status: int
    body: BaseModel
    action: str
    object: str
    location: str | None = None
    detail: dict[str, Any] | None = None


class KeyReusedProblem(Problem):
    """An idempotency key that stands for another request."""

    status, code, title = 422, "idempotency-key-reused", "The key stands for another request"


def write(
    request: Request,
    caller: Caller,
    asked: BaseModel | None,
    change: Callable[[Connection], Answer],
) -> Response:
    """Makes a change, unless the same request has made it before; its answer.

    Raises:
        KeyReusedProblem: the caller has used the key for another request.
    """
    key = _key(request)
    database = services(request).database
    digest = _digest(request, asked)
    for is_last in (False, True):
        try:
            with database.writing() as connection:
                known = _known(connection, caller, key, digest)
                return known or _changed(connection, request, caller, key, digest, change)
        except IntegrityError:
            if key is None or is_last:
                raise
    raise AssertionError  # pragma: no cover - the last attempt returns or raises


def _key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidProblem("an Idempotency-Key has at most 255 visible ASCII characters")
    return key


def _digest(request: Request, asked: BaseModel | None) -> str:
    body = "" if asked is None else asked.model_dump_json(by_alias=True)
    return sha256(f"{request.method} {request.url.path}\n{body}".encode()).hexdigest()


def _known(connection: Connection, caller: Caller, key: str | None, digest: str) -> Response | None:
    if key is None:
        return None
    row = connection.execute(
        select(idempotency).where(
            idempotency.c.principal_id == caller.principal_id, idempotency.c.key == key
        )
    ).first()
    if row is None:
        return None
    if row.request_sha256 != digest:
        raise KeyReusedProblem("the Idempotency-Key was used for another request")
    return _response(row.status, row.body, row.location, {_REPLAYED: "true"})


def _changed(
    connection: Connection,
    request: Request,
    caller: Caller,
    key: str | None,
    digest: str,
    change: Callable[[Connection], Answer],
) -> Response:
    answer = change(connection)
    body = answer.body.model_dump_json(by_alias=True)
    if key is not None:
        connection.execute(
            insert(idempotency).values(
                principal_id=caller.principal_id,
                key=key,
                request_sha256=digest,
                status=answer.status,
                body=body,
                location=answer.location,
                created_at=now(),
            )
        )
    note(connection, caller, answer.action, answer.object, request_id(request), answer.detail)
    return _response(answer.status, body, answer.location, {})


def note(
    connection: Connection,
    caller: Caller,
    action: str,
    thing: str,
    request: str | None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Adds a line to the audit, in the transaction of what it tells of."""
    connection.execute(
        insert(audit).values(
            id=new_id("audit"),
            at=now(),
            principal_id=caller.principal_id,
            key_id=caller.key_id,
            action=action,
            object=thing,
            request_id=request,
            detail=detail or {},
        )
    )


def _response(status: int, body: str, location: str | None, more: dict[str, str]) -> Response:
    headers = more if location is None else {**more, "Location": location}
    return Response(body, status, headers=headers, media_type="application/json")

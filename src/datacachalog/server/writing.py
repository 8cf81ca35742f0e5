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

from datacachalog.server.auditing import note
from datacachalog.server.describing import IDEMPOTENCY_KEY
from datacachalog.server.errors import InvalidProblem, Problem
from datacachalog.server.identity.principals import now
from datacachalog.server.schema import idempotency
from datacachalog.server.web import request_id, services

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import Request
    from pydantic import BaseModel
    from sqlalchemy import Connection

    from datacachalog.server.identity.access import Caller

_KEY = re.compile(IDEMPOTENCY_KEY)
_REPLAYED = "Idempotent-Replayed"
_CONDITIONS = ("if-match", "if-none-match")  # under another one it is another request


@dataclass(frozen=True, slots=True)
class Answer:
    """What a change is answered with, and what the audit says of it.

    `again` is what a repetition is answered with, where that is less: a secret is shown once, and
    kept nowhere.
    """

    status: int
    body: BaseModel
    action: str
    object: str
    location: str | None = None
    detail: dict[str, Any] | None = None
    again: BaseModel | None = None


class KeyReusedProblem(Problem):
    """An idempotency key that stands for another request."""

    status, code, title = 422, "idempotency-key-reused", "The key stands for another request"


def write(
    request: Request,
    caller: Caller,
    asked: BaseModel | None,
    change: Callable[[Connection], Answer],
    *,
    lock: str | None = None,
) -> Response:
    """Makes a change, unless the same request has made it before; its answer.

    No two with the same `lock` are made at the same time.

    Raises:
        KeyReusedProblem: the caller has used the key for another request.
    """
    key = _key(request)
    database = services(request).database
    digest = _digest(request, asked)

    def attempt() -> Response:
        with database.writing() as connection:
            if lock is not None:
                database.hold(connection, lock)
            known = _known(connection, caller, key, digest)
            return known or _changed(connection, request, caller, key, digest, change)

    try:
        return attempt()
    except IntegrityError:
        if key is None:
            raise
    return attempt()  # the same request came twice at once, and the other one was first


def _key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidProblem("an Idempotency-Key has at most 255 visible ASCII characters")
    return key


def _digest(request: Request, asked: BaseModel | None) -> str:
    # Only what was sent: a later release that knows more members still knows this request.
    body = "" if asked is None else asked.model_dump_json(by_alias=True, exclude_unset=True)
    seen = "".join(
        f"\n{name}: {value}"
        for name in _CONDITIONS
        if (value := request.headers.get(name)) is not None
    )
    told = f"{request.method} {request.url.path}\n{body}{seen}"
    return sha256(told.encode()).hexdigest()


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
        kept = answer.again or answer.body
        connection.execute(
            insert(idempotency).values(
                principal_id=caller.principal_id,
                key=key,
                request_sha256=digest,
                status=answer.status,
                body=kept.model_dump_json(by_alias=True),
                location=answer.location,
                created_at=now(),
            )
        )
    note(connection, caller, answer.action, answer.object, request_id(request), answer.detail)
    return _response(answer.status, body, answer.location, {})


def _response(status: int, body: str, location: str | None, more: dict[str, str]) -> Response:
    headers = more if location is None else {**more, "Location": location}
    return Response(body, status, headers=headers, media_type="application/json")

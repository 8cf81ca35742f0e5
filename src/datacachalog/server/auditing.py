"""The lines of the audit, each written in the transaction of what it tells of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from datacachalog.server.identity.principals import now
from datacachalog.server.ids import new_id
from datacachalog.server.schema import audit

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from datacachalog.server.identity.access import Caller

_MAX_OBJECT = 400


def note(
    connection: Connection,
    caller: Caller | None,
    action: str,
    thing: str,
    request: str | None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Adds a line. No caller is the command line, at the registry's own machine."""
    connection.execute(
        insert(audit).values(
            id=new_id("audit"),
            at=now(),
            principal_id=None if caller is None else caller.principal_id,
            key_id=None if caller is None else caller.key_id,
            action=action,
            object=thing[:_MAX_OBJECT],
            request_id=request,
            detail=detail or {},
        )
    )

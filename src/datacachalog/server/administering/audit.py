"""The audit: what was done, by whom and when. It is written with each change, and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field
from sqlalchemy import select

from datacachalog.server.identity.access import Caller, require_administrator
from datacachalog.server.paging import Page, page_of
from datacachalog.server.schema import audit, principals

if TYPE_CHECKING:
    from sqlalchemy import Connection


class AuditLine(BaseModel):
    """One thing that was done."""

    id: str = Field(examples=["audit-0198f2c47d1e7a3b8c5d6e7f80912a3b"])
    at: datetime
    principal: str | None = Field(description="Who; null for the command line of the registry.")
    key_id: str | None = Field(description="With which key; null for a token.")
    action: str = Field(examples=["register-snapshot"])
    object: str = Field(examples=["table:sales"])
    request_id: str | None
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which lines are wanted: None chooses all; `until` itself is not among them."""

    principal: str | None = None
    action: str | None = None
    thing: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def list_audit(
    connection: Connection,
    by: Caller | None,
    page: Page | None = None,
    choice: Choice = Choice(),
) -> list[AuditLine]:
    """What was done, the latest first.

    Raises:
        ForbiddenProblem: the caller is no administrator.
    """
    require_administrator(connection, by, "reading the audit")
    query = select(audit, principals.c.name.label("principal")).outerjoin(
        principals, principals.c.id == audit.c.principal_id
    )
    equal = (
        (principals.c.name, choice.principal),
        (audit.c.action, choice.action),
        (audit.c.object, choice.thing),
    )
    for column, value in equal:
        if value is not None:
            query = query.where(column == value)
    if choice.since is not None:
        query = query.where(audit.c.at >= choice.since)
    if choice.until is not None:
        query = query.where(audit.c.at < choice.until)
    found = page_of(connection, query, audit.c.id, page, is_newest_first=True)
    return [AuditLine.model_validate(row, from_attributes=True) for row in found]

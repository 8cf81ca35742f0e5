"""Idempotency keys stand for a request for a while; then they are forgotten."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, tuple_

from datacachalog.server.schema import idempotency

if TYPE_CHECKING:
    from datetime import datetime

    from datacachalog.server.database import Database

KEPT = timedelta(days=30)
"""For how long a key stands for a request; the page about the API says so, too."""

_FORGOTTEN_AT_ONCE = 10_000


def forget_keys(database: Database, at: datetime) -> int:
    """Forgets keys that were first used longer ago than `KEPT`; how many."""
    key = (idempotency.c.principal_id, idempotency.c.key)
    old = select(*key).where(idempotency.c.created_at < at - KEPT)
    with database.reading() as connection:
        if connection.execute(old.limit(1)).first() is None:
            return 0
    is_old = tuple_(*key).in_(old.limit(_FORGOTTEN_AT_ONCE))
    with database.writing() as connection:
        return connection.execute(delete(idempotency).where(is_old)).rowcount

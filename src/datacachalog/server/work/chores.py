"""What is done again and again; every worker does it, and the database lets one win."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacachalog.server.events.log import prune
from datacachalog.server.identity.principals import now
from datacachalog.server.lineage.runs import mark_lost
from datacachalog.server.work.old_keys import forget_keys

if TYPE_CHECKING:
    from datacachalog.server.database import Database

CHORES_S = 2.0


def do_chores(database: Database) -> None:
    """Marks runs that are lost, and forgets old events and idempotency keys."""
    mark_lost(database)
    prune(database, now())
    forget_keys(database, now())

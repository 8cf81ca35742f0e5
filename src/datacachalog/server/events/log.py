"""What has happened, in one order: told in the transaction of what it tells of.

Events are numbered from a counter whose row is held to the end of the transaction. So numbers have
no gaps, whoever sees one sees all before it, and a reader that goes on from the last one it saw
misses none. (A sequence of PostgreSQL gives numbers that are committed in another order.)
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update

from datacachalog.server.errors import InvalidProblem, Problem
from datacachalog.server.identity.principals import now
from datacachalog.server.schema import event_counter, events

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from datacachalog.server.database import Database

KEPT = timedelta(days=30)
CUSTOM = "custom."
"""How the types of events begin that callers broadcast: none can be taken for one of our own."""

_PRUNED_AT_ONCE = 10_000


class PrunedProblem(Problem):
    """The events after the one that was asked for are not kept any more."""

    status, code, title = 410, "events-pruned", "Some of these events are not kept any more"


def emit(
    connection: Connection,
    kind: str,
    data: Mapping[str, Any],
    *,
    principal_id: str,
    table_id: str | None = None,
    run_id: str | None = None,
) -> int:
    """Tells of something that the transaction at hand does; the number of the event.

    Call it last: everybody else who has something to tell waits until the transaction has ended,
    so one that then waited for them would never end.

    An event about a table is for those who may SELECT it; any other one for its principal, and
    for administrators.
    """
    seq = connection.execute(
        update(event_counter)
        .values(last_seq=event_counter.c.last_seq + 1)
        .returning(event_counter.c.last_seq)
    ).scalar_one()
    connection.execute(
        insert(events).values(
            seq=seq,
            type=kind,
            data=dict(data),
            principal_id=principal_id,
            table_id=table_id,
            run_id=run_id,
            created_at=now(),
        )
    )
    return int(seq)


def last_seq(connection: Connection) -> int:
    """The number of the newest event; 0 where there never was one."""
    return int(connection.execute(select(event_counter.c.last_seq)).scalar_one())


def require_kept(connection: Connection, after: int) -> None:
    """Refuses a number after which events are missing.

    Raises:
        PrunedProblem: some are not kept any more.
        InvalidProblem: there was no such event yet.
    """
    counter = connection.execute(select(event_counter)).one()
    if after < counter.pruned_seq:
        first = counter.pruned_seq + 1
        told = f"the events up to {counter.pruned_seq} are not kept any more; ask from there on"
        raise PrunedProblem(told, first_seq=first)
    if after > counter.last_seq:
        raise InvalidProblem(f"there is no event {after}: the newest is {counter.last_seq}")


def prune(database: Database, at: datetime) -> int:
    """Forgets events that are older than `KEPT`; how many. Many processes may do it at once."""
    is_old = events.c.created_at < at - KEPT
    with database.reading() as connection:
        oldest = select(events.c.created_at).order_by(events.c.seq).limit(1).subquery()
        if (
            connection.execute(select(oldest).where(oldest.c.created_at < at - KEPT)).first()
            is None
        ):
            return 0
    with database.writing() as connection:
        counter = connection.execute(select(event_counter).with_for_update()).one()
        upto = connection.execute(
            select(func.max(events.c.seq)).where(
                events.c.seq <= counter.pruned_seq + _PRUNED_AT_ONCE, is_old
            )
        ).scalar()
        if upto is None:  # another process was first
            return 0
        connection.execute(update(event_counter).values(pruned_seq=upto))
        return connection.execute(delete(events).where(events.c.seq <= upto)).rowcount

"""The registry's own work, kept in its database: enqueued with the change that asks for it.

Whoever works on a task holds a lease that it must renew. What a task does and that it is done are
one transaction, which the lease's token guards: a worker that was taken for dead changes nothing.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, insert, or_, select, update

from datacachalog.server.identity.principals import now
from datacachalog.server.ids import new_id
from datacachalog.server.operations.tracing import traceparent
from datacachalog.server.schema import tasks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from datacachalog.server.identity.access import Caller

LEASE = timedelta(seconds=30)
MAX_ATTEMPTS = 5
_LONGEST_PAUSE_S = 60


@dataclass(frozen=True, slots=True)
class Task:
    """A task that this worker has the lease of."""

    id: str
    kind: str
    payload: Mapping[str, Any]
    attempts: int
    lease_token: str
    principal_id: str
    key_id: str | None
    request_id: str | None
    role_ids: tuple[str, ...] = ()
    traceparent: str | None = None


def enqueue(
    connection: Connection,
    kind: str,
    payload: Mapping[str, Any],
    caller: Caller,
    request_id: str | None,
) -> str:
    """Asks for work, in the caller's transaction; the task's id."""
    made = new_id("job")
    connection.execute(
        insert(tasks).values(
            id=made,
            kind=kind,
            payload=dict(payload),
            status="queued",
            attempts=0,
            run_after=now(),
            principal_id=caller.principal_id,
            key_id=caller.key_id,
            role_ids=sorted(caller.role_ids) if caller.key_id is None else None,
            request_id=request_id,
            traceparent=traceparent(),
            created_at=now(),
        )
    )
    return made


class LeaseLostError(Exception):
    """Another worker has the task by now: nothing that this one did may stay."""


def is_any_due(connection: Connection) -> bool:
    """Whether there is something to claim; it takes no lock."""
    query = select(tasks.c.id).where(_is_claimable(now())).limit(1)
    return connection.execute(query).first() is not None


def waiting(connection: Connection) -> tuple[int, timedelta]:
    """How many tasks are due and wait for a worker, and for how long the oldest of them has."""
    at = now()
    is_due = and_(tasks.c.status == "queued", tasks.c.run_after <= at)
    query = select(func.count(), func.min(tasks.c.run_after)).where(is_due)
    depth, oldest = connection.execute(query).one()
    return depth, timedelta(0) if oldest is None else max(timedelta(0), at - oldest)


def _is_claimable(at: datetime) -> Any:
    is_due = and_(tasks.c.status == "queued", tasks.c.run_after <= at)
    is_left = and_(tasks.c.status == "running", tasks.c.lease_until < at)
    return or_(is_due, is_left)


def claim(connection: Connection, lease: timedelta = LEASE) -> Task | None:
    """The next task that is due, or whose worker has let its lease run out."""
    at = now()
    row = connection.execute(
        select(tasks)
        .where(_is_claimable(at))
        .order_by(tasks.c.run_after, tasks.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)  # SQLite has one writer, and leaves it out
    ).first()
    if row is None:
        return None
    token = new_id("lease")
    connection.execute(
        update(tasks)
        .where(tasks.c.id == row.id)
        .values(
            status="running",
            attempts=row.attempts + 1,
            lease_token=token,
            lease_until=at + lease,
        )
    )
    return _task(row, token)


def _task(row: Row[Any], token: str) -> Task:
    """The task of a row, which is being tried once more."""
    return Task(
        row.id,
        row.kind,
        row.payload,
        row.attempts + 1,
        token,
        row.principal_id,
        row.key_id,
        row.request_id,
        tuple(row.role_ids or ()),
        row.traceparent,
    )


def renew(connection: Connection, task: Task, lease: timedelta = LEASE) -> bool:
    """Keeps the lease; False where another worker has the task by now."""
    done = connection.execute(update(tasks).where(_is_held(task)).values(lease_until=now() + lease))
    return done.rowcount == 1


def complete(connection: Connection, task: Task, result: Mapping[str, Any]) -> None:
    """Ends a task well, with the effects of the same transaction.

    Raises:
        LeaseLostError: they must not be.
    """
    if not _end(connection, task, status="completed", result=dict(result)):
        raise LeaseLostError(task.id)


def fail(connection: Connection, task: Task, code: str, error: str) -> bool:
    """Ends a task for good."""
    return _end(connection, task, status="failed", error_code=code, error=_printable(error))


def retry(connection: Connection, task: Task, code: str, error: str) -> bool:
    """Puts a task back that failed for a reason that may pass; for good after `MAX_ATTEMPTS`."""
    if task.attempts >= MAX_ATTEMPTS:
        return fail(connection, task, code, error)
    pause_s = min(_LONGEST_PAUSE_S, 2**task.attempts) * random.uniform(0.5, 1)  # noqa: S311 - jitter
    return _set(
        connection,
        task,
        status="queued",
        run_after=now() + timedelta(seconds=pause_s),
        lease_token=None,
        lease_until=None,
        error_code=code,
        error=_printable(error),
    )


def cancel(connection: Connection, task_id: str) -> bool:
    """Ends a task that has not ended; False where it has.

    It takes the lease from whoever works on it: that worker can commit nothing any more, and where
    it has committed, the task has ended, and cannot be cancelled.
    """
    done = connection.execute(
        update(tasks)
        .where(tasks.c.id == task_id, tasks.c.status.in_(("queued", "running")))
        .values(status="cancelled", lease_token=None, lease_until=None, finished_at=now())
    )
    return done.rowcount == 1


def _printable(error: str) -> str:
    """An error as every database can keep it: it may quote a hostile object."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in error)[
        :2000
    ]


def release(connection: Connection, task: Task) -> bool:
    """Gives a task back whose worker is being stopped: another one may begin it at once."""
    return _set(
        connection, task, status="queued", run_after=now(), lease_token=None, lease_until=None
    )


def _end(connection: Connection, task: Task, **values: object) -> bool:
    return _set(connection, task, lease_token=None, lease_until=None, finished_at=now(), **values)


def _set(connection: Connection, task: Task, **values: object) -> bool:
    done = connection.execute(update(tasks).where(_is_held(task)).values(**values))
    return done.rowcount == 1


def _is_held(task: Task) -> Any:
    return and_(tasks.c.id == task.id, tasks.c.lease_token == task.lease_token)

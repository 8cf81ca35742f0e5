"""Runs of the users' jobs: started, kept alive, completed, or lost.

A run is its principal's: others know nothing of it, but administrators. It may be completed once;
the same completion again changes nothing.
"""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import and_, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from datacachalog.server.errors import ConflictProblem, InvalidProblem, NotFoundProblem
from datacachalog.server.events.log import emit
from datacachalog.server.identity.access import Privilege, has_on_catalog
from datacachalog.server.identity.principals import now
from datacachalog.server.ids import new_id
from datacachalog.server.lineage.io import MAX_DATASETS, Dataset, Direction, record
from datacachalog.server.schema import artifacts, principals, run_io, runs
from datacachalog.server.values import RUN_ID, WORD, LongText, Metadata, ObjectUri, canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Row

    from datacachalog.server.database import Database
    from datacachalog.server.identity.access import Caller

MISSED_BEATS = 3
DEFAULT_INTERVAL_S = 60
_SWEPT_AT_ONCE = 100
_RESERVED = re.compile(r"register-snapshot|job-[0-9a-f]{32}")  # they are paths below /jobs

Datasets = Annotated[list[Dataset], Field(max_length=MAX_DATASETS)]


class Status(StrEnum):
    """How a run stands. One that is lost may still beat again, or be completed."""

    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    ABORTED = "aborted"
    LOST = "lost"


_OPEN = (Status.RUNNING, Status.LOST)


class Artifact(BaseModel):
    """Something that a run left, such as its log."""

    model_config = ConfigDict(extra="forbid")

    type: Annotated[str, Field(pattern=WORD, examples=["log"])]
    uri: ObjectUri


class StartRun(BaseModel):
    """What a run begins with."""

    model_config = ConfigDict(extra="forbid")

    run_id: Annotated[str, Field(pattern=RUN_ID)] | None = Field(
        default=None, description="make it a UUID; the same request with it is the same run"
    )
    parent_run_id: Annotated[str, Field(pattern=RUN_ID)] | None = None
    metadata: Metadata = Field(default={}, examples=[{"source": "s3"}])
    inputs: Datasets = []
    heartbeat_interval_s: Annotated[int, Field(ge=1, le=86_400)] | None = Field(
        default=None, description=f"it is lost when {MISSED_BEATS} beats in a row do not come"
    )


class CompleteRun(BaseModel):
    """How a run ended."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["success", "failed", "aborted"]
    error: LongText | None = None
    metadata: Metadata = Field(default={}, description="added to what the run began with")
    inputs: Datasets = []
    outputs: Datasets = []
    artifacts: Annotated[list[Artifact], Field(max_length=100)] = []

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.status == "success" and self.error is not None:
            raise ValueError("a run that succeeded has no error")
        return self


def require_job_name(text: str) -> None:
    """Refuses a job name that would be a path of something else.

    Raises:
        InvalidProblem: it is reserved.
    """
    if _RESERVED.fullmatch(text):
        raise InvalidProblem(f"{text!r} is reserved, and names no job")


def start(
    connection: Connection, caller: Caller, job_name: str, asked: StartRun
) -> tuple[str, bool]:
    """Starts a run; its id, and whether it is new: the same request may have started it before.

    Raises:
        ConflictProblem: the id is of another run.
        NotFoundProblem: there is no such parent.
    """
    require_job_name(job_name)
    if asked.parent_run_id is not None:
        run_for(connection, caller, asked.parent_run_id)
    made, digest = asked.run_id or new_id("run"), _digest(job_name, asked)
    if not _insert(connection, caller, made, job_name, asked, digest):
        known = connection.execute(select(runs).where(runs.c.id == made)).one()
        if (known.principal_id, known.started_sha256) != (caller.principal_id, digest):
            raise ConflictProblem(f"{made!r} is another run", code="run-exists")
        return made, False
    record(connection, caller, made, Direction.INPUT, asked.inputs)
    emit(connection, "run.started", {}, principal_id=caller.principal_id, run_id=made)
    return made, True


def _insert(
    connection: Connection,
    caller: Caller,
    run_id: str,
    job_name: str,
    asked: StartRun,
    digest: str,
) -> bool:
    at, interval_s = now(), asked.heartbeat_interval_s
    values = {
        "id": run_id,
        "job_name": job_name,
        "status": Status.RUNNING,
        "parent_id": asked.parent_run_id,
        "principal_id": caller.principal_id,
        "metadata": asked.metadata,
        "started_sha256": digest,
        "heartbeat_interval_s": interval_s,
        "due_at": None if interval_s is None else _due(at, interval_s),
        "created_at": at,
    }
    try:
        with connection.begin_nested():
            connection.execute(insert(runs).values(values))
    except IntegrityError:
        return False
    return True


def _due(at: datetime, interval_s: int | None) -> datetime:
    return at + MISSED_BEATS * timedelta(seconds=interval_s or DEFAULT_INTERVAL_S)


def _digest(job_name: str, asked: BaseModel) -> str:
    return sha256(canonical([job_name, asked.model_dump()]).encode()).hexdigest()


def may_know(caller: Caller) -> ColumnElement[bool]:
    """Whether the caller may know of the run of the row at hand, and complete it."""
    return or_(runs.c.principal_id == caller.principal_id, has_on_catalog(caller, Privilege.MANAGE))


def run_for(
    connection: Connection,
    caller: Caller,
    run_id: str,
    job_name: str | None = None,
    *,
    is_to_change: bool = False,
) -> Row[Any]:
    """A run that the caller may know of, and its principal's name.

    Raises:
        NotFoundProblem: there is none, or none of that job.
    """
    query = select(runs, principals.c.name.label("principal")).join(principals)
    query = query.where(runs.c.id == run_id, may_know(caller))
    if job_name is not None:
        query = query.where(runs.c.job_name == job_name)
    if is_to_change:
        # Its key does not change: who only refers to it need not wait.
        query = query.with_for_update(of=runs, key_share=True)
    row = connection.execute(query).first()
    if row is None:
        of_it = "" if job_name is None else f" of the job {job_name!r}"
        raise NotFoundProblem(f"there is no run {run_id!r}{of_it}")
    return row


def listed(
    connection: Connection,
    caller: Caller,
    job_name: str,
    before: tuple[datetime, str] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """The runs of a job that the caller may know of, the newest first, `limit` before one."""
    query = (
        select(runs, principals.c.name.label("principal"))
        .join(principals)
        .where(runs.c.job_name == job_name, may_know(caller))
        .order_by(runs.c.created_at.desc(), runs.c.id.desc())
        .limit(limit)
    )
    if before is not None:
        at, run_id = before
        same_time = and_(runs.c.created_at == at, runs.c.id < run_id)
        query = query.where(or_(runs.c.created_at < at, same_time))
    return connection.execute(query).all()


def complete(
    connection: Connection, caller: Caller, job_name: str, run_id: str, asked: CompleteRun
) -> None:
    """Ends a run, also one that was taken for lost.

    With the end that it had, more of what it left may be told of later, such as its log.

    Raises:
        ConflictProblem: it has ended in another way.
        NotFoundProblem: there is none that the caller may know of.
    """
    run = run_for(connection, caller, run_id, job_name, is_to_change=True)
    digest = _digest(job_name, asked)
    if run.completed_sha256 == digest:
        return
    if _ended_so(run, asked):
        _add_late(connection, caller, run, asked)
        return
    require_open(run)
    record(connection, caller, run_id, Direction.INPUT, asked.inputs)
    record(connection, caller, run_id, Direction.OUTPUT, asked.outputs)
    _add_artifacts(connection, run_id, asked.artifacts)
    connection.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values(
            status=asked.status,
            error=asked.error,
            metadata={**run.metadata, **asked.metadata},
            completed_sha256=digest,
            finished_at=now(),
        )
    )
    told = {"status": asked.status, "was_lost": run.status == Status.LOST}
    emit(connection, "run.completed", told, principal_id=run.principal_id, run_id=run_id)


def _ended_so(run: Row[Any], asked: CompleteRun) -> bool:
    """Whether a run was completed, and nothing else is said of how."""
    return (
        run.completed_sha256 is not None
        and asked.status == run.status
        and asked.error in {None, run.error}
        and {**run.metadata, **asked.metadata} == run.metadata
    )


def _add_late(connection: Connection, caller: Caller, run: Row[Any], asked: CompleteRun) -> None:
    """Adds the artifacts that a run that is over has not yet; its data stay as they are."""
    count = select(func.count()).where(run_io.c.run_id == run.id)
    known = connection.execute(count).scalar_one()
    record(connection, caller, run.id, Direction.INPUT, asked.inputs)
    record(connection, caller, run.id, Direction.OUTPUT, asked.outputs)
    if connection.execute(count).scalar_one() != known:
        require_open(run)
    has = {(one.type, one.uri) for one in artifacts_of(connection, run.id)}
    told = {(one.type, one.uri): one for one in asked.artifacts}
    _add_artifacts(connection, run.id, [told[one] for one in told if one not in has])


def require_open(run: Row[Any]) -> None:
    """Refuses a run that has ended.

    Raises:
        ConflictProblem: it has.
    """
    if run.status not in _OPEN:
        told = f"the run has ended already, with {run.status!r}"
        raise ConflictProblem(told, code="run-completed")


def _add_artifacts(connection: Connection, run_id: str, added: Iterable[Artifact]) -> None:
    for one in added:
        connection.execute(
            insert(artifacts).values(
                id=new_id("art"), run_id=run_id, type=one.type, uri=one.uri, created_at=now()
            )
        )


def artifacts_of(connection: Connection, run_id: str) -> Sequence[Row[Any]]:
    """What a run left."""
    query = select(artifacts).where(artifacts.c.run_id == run_id)
    return connection.execute(query.order_by(artifacts.c.created_at, artifacts.c.id)).all()


def beat(connection: Connection, caller: Caller, job_name: str, run_id: str) -> datetime:
    """Keeps a run alive, also one that was taken for lost; when it is lost unless it beats again.

    Raises:
        ConflictProblem: it has ended.
        NotFoundProblem: there is none that the caller may know of.
    """
    run = run_for(connection, caller, run_id, job_name, is_to_change=True)
    require_open(run)
    at = now()
    due = _due(at, run.heartbeat_interval_s)
    connection.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values(status=Status.RUNNING, beat_at=at, due_at=due, lost_at=None)
    )
    if run.status == Status.LOST:
        emit(connection, "run.resumed", {}, principal_id=run.principal_id, run_id=run_id)
    return due


def mark_lost(database: Database) -> int:
    """Marks the runs that have stopped beating; how many. Many processes may do it at once."""
    is_late = and_(runs.c.status == Status.RUNNING, runs.c.due_at < now())
    with database.reading() as connection:
        if connection.execute(select(runs.c.id).where(is_late).limit(1)).first() is None:
            return 0
    with database.writing() as connection:
        found = connection.execute(
            select(runs.c.id, runs.c.principal_id)
            .where(is_late)
            .limit(_SWEPT_AT_ONCE)
            .with_for_update(skip_locked=True, key_share=True)
        ).all()
        change = update(runs).where(runs.c.id.in_([one.id for one in found]))
        connection.execute(change.values(status=Status.LOST, lost_at=now()))
        for one in found:
            emit(connection, "run.lost", {}, principal_id=one.principal_id, run_id=one.id)
        return len(found)

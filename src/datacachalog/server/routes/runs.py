"""Runs of jobs: started, kept alive, completed, and looked at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from datacachalog.server.catalog.tables import full_name
from datacachalog.server.describing import refusals
from datacachalog.server.errors import (
    ConflictProblem,
    ForbiddenProblem,
    InvalidProblem,
    NotFoundProblem,
)
from datacachalog.server.identity.access import Caller
from datacachalog.server.lineage import runs as store
from datacachalog.server.lineage.io import Dataset, Direction, ObjectRef, TableRef, of_run
from datacachalog.server.lineage.runs import Artifact, CompleteRun, StartRun
from datacachalog.server.paging import Cursor, Limit, page, position
from datacachalog.server.values import JOB_NAME, RUN_ID
from datacachalog.server.web import CallerOf, ServicesOf
from datacachalog.server.writing import Answer, write

router = APIRouter(tags=["runs"])

JobName = Annotated[str, Path(pattern=JOB_NAME, examples=["daily_users"])]
RunId = Annotated[str, Path(pattern=RUN_ID, examples=["0198f2c4-7d1e-7a3b-8c5d-6e7f80912a3b"])]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class RunLine(BaseModel):
    """A run, as it stands."""

    run_id: str = Field(examples=["0198f2c4-7d1e-7a3b-8c5d-6e7f80912a3b"])
    job_name: str = Field(examples=["daily_users"])
    status: str = Field(description="running, success, failed, aborted or lost")
    principal: str
    parent_run_id: str | None
    metadata: dict[str, Any]
    error: str | None
    heartbeat_interval_s: int | None
    beat_at: datetime | None
    lost_at: datetime | None = Field(description="when it was taken for lost, even if it ended")
    started_at: datetime
    finished_at: datetime | None


class Run(RunLine):
    """A run, and what is known of its data; tables that the caller may not SELECT are not shown."""

    inputs: list[Dataset]
    outputs: list[Dataset]
    artifacts: list[Artifact]


class Beat(BaseModel):
    """A run that is alive."""

    run_id: str
    status: str = Field(examples=["running"])
    due_at: datetime = Field(description="it is lost then, unless it beats again")


@router.post(
    "/jobs/{job_name}/runs",
    status_code=201,
    response_model=Run,
    responses={
        200: {"model": Run, "description": "It was started by the same request before"},
        **refusals(NotFoundProblem, ConflictProblem, ForbiddenProblem),
    },
)
def start_run(
    job_name: JobName, caller: CallerOf, request: Request, asked: StartRun | None = None
) -> Response:
    """Starts a run. With a `run_id` of the caller's making, again is the same run."""
    wanted = asked or StartRun()

    def start(connection: Connection) -> Answer:
        run_id, is_new = store.start(connection, caller, job_name, wanted)
        return Answer(
            201 if is_new else 200,
            _run(connection, caller, run_id),
            action="start-run",
            object=f"run:{run_id}",
            location=f"/api/v1/runs/{run_id}",
            detail={"job_name": job_name},
        )

    return write(request, caller, wanted, start)


@router.put(
    "/jobs/{job_name}/runs/{run_id}/complete",
    response_model=Run,
    responses=refusals(NotFoundProblem, ConflictProblem, ForbiddenProblem),
)
def complete_run(
    job_name: JobName, run_id: RunId, asked: CompleteRun, caller: CallerOf, request: Request
) -> Response:
    """Ends a run, once: the same again changes nothing, but may add artifacts that came late.

    One that was lost has its `lost_at`.
    """

    def complete(connection: Connection) -> Answer:
        store.complete(connection, caller, job_name, run_id, asked)
        return Answer(
            200,
            _run(connection, caller, run_id),
            action="complete-run",
            object=f"run:{run_id}",
            detail={"job_name": job_name, "status": asked.status},
        )

    return write(request, caller, asked, complete)


@router.post(
    "/jobs/{job_name}/runs/{run_id}/heartbeat",
    responses=refusals(NotFoundProblem, ConflictProblem),
)
def heartbeat(job_name: JobName, run_id: RunId, caller: CallerOf, services: ServicesOf) -> Beat:
    """Says that a run is alive. From its first beat on, it is lost when beats do not come.

    It is no line in the audit, which would hold little else; again means only that it is alive.
    """
    with services.database.writing() as connection:
        due = store.beat(connection, caller, job_name, run_id)
    return Beat(run_id=run_id, status=store.Status.RUNNING, due_at=due)


@router.get("/jobs/{job_name}/runs", responses=refusals())
def list_runs(
    job_name: JobName,
    caller: CallerOf,
    services: ServicesOf,
    request: Request,
    response: Response,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> list[RunLine]:
    """The runs of a job that the caller may know of, the newest first.

    Those are its own; all of them for an administrator. The next page is in the `Link` header.
    """
    store.require_job_name(job_name)
    before = _before(position(cursor, 2))
    with services.database.reading() as connection:
        rows = store.listed(connection, caller, job_name, before, limit + 1)
    rows = page(request, response, rows, limit, _place)
    return [RunLine(**_line(one)) for one in rows]


@router.get("/runs/{run_id}", responses=refusals(NotFoundProblem))
def get_run(run_id: RunId, caller: CallerOf, services: ServicesOf) -> Run:
    """A run, with what it read, wrote and left; its principal and administrators may know."""
    with services.database.reading() as connection:
        return _run(connection, caller, run_id)


def _run(connection: Connection, caller: Caller, run_id: str) -> Run:
    row = store.run_for(connection, caller, run_id)
    io = of_run(connection, caller, run_id)
    left = store.artifacts_of(connection, run_id)
    return Run(
        **_line(row),
        inputs=[_dataset(one) for one in io if one.direction == Direction.INPUT],
        outputs=[_dataset(one) for one in io if one.direction == Direction.OUTPUT],
        artifacts=[Artifact(type=one.type, uri=one.uri) for one in left],
    )


def _line(row: Any) -> dict[str, Any]:
    return {
        "run_id": row.id,
        "job_name": row.job_name,
        "status": row.status,
        "principal": row.principal,
        "parent_run_id": row.parent_id,
        "metadata": row.metadata,
        "error": row.error,
        "heartbeat_interval_s": row.heartbeat_interval_s,
        "beat_at": row.beat_at,
        "lost_at": row.lost_at,
        "started_at": row.created_at,
        "finished_at": row.finished_at,
    }


def _dataset(row: Any) -> Dataset:
    if row.table_id is None:
        return ObjectRef(uri=row.uri)
    name = full_name(row.namespace, row.table_name)
    return TableRef(table_name=name, snapshot_id=row.snapshot_id)


def _place(row: Any) -> tuple[str, str]:
    return str((row.created_at - _EPOCH) // _MICROSECOND), row.id


def _before(place: tuple[str, ...] | None) -> tuple[datetime, str] | None:
    if place is None:
        return None
    try:
        return _EPOCH + int(place[0]) * _MICROSECOND, place[1]
    except (ValueError, OverflowError):
        raise InvalidProblem("the cursor is none that was given out") from None

"""Registrations, and what has become of them."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field
from sqlalchemy import Connection, Row, select

from datacachalog.domain.uri import Uri
from datacachalog.server.catalog.conditions import IfMatch, matching, tag_of
from datacachalog.server.catalog.foreign import refuse_foreign
from datacachalog.server.catalog.locations import hostile_uri, location_for
from datacachalog.server.catalog.tables import require_write
from datacachalog.server.describing import refusals
from datacachalog.server.errors import ConflictProblem, ForbiddenProblem, NotFoundProblem
from datacachalog.server.identity.access import Caller, Privilege, has_on_catalog, is_true
from datacachalog.server.ids import is_id
from datacachalog.server.lineage.runs import require_open, run_for
from datacachalog.server.schema import tasks as tasks_table
from datacachalog.server.web import CallerOf, ServicesOf, request_id
from datacachalog.server.web import caller as caller_of
from datacachalog.server.work import tasks
from datacachalog.server.work.registering import KIND, Order, Payload
from datacachalog.server.writing import Answer, write

router = APIRouter(prefix="/jobs", tags=["jobs"])

MAX_WAIT_S = 30
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 0.5


class Status(StrEnum):
    """How far a registration is."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_end(self) -> bool:
        """Whether nothing more becomes of it."""
        return self not in {Status.QUEUED, Status.RUNNING}


class Accepted(BaseModel):
    """A registration that will be done."""

    job_id: str = Field(examples=["job-0198f2c47d1e7a3b8c5d6e7f80912a3b"])
    status: Status


class Job(BaseModel):
    """A registration, as it stands."""

    job_id: str = Field(examples=["job-0198f2c47d1e7a3b8c5d6e7f80912a3b"])
    status: Status
    attempts: int
    error_code: str | None
    error: str | None
    result: dict[str, Any] | None
    created_at: datetime
    finished_at: datetime | None


@router.post(
    "/register-snapshot",
    status_code=202,
    response_model=Accepted,
    responses=refusals(403, NotFoundProblem, ConflictProblem, 412),
)
def register_snapshot(
    asked: Payload,
    caller: CallerOf,
    services: ServicesOf,
    request: Request,
    if_match: IfMatch = None,
) -> Response:
    """Makes an object that is in a storage location the next snapshot of a table.

    With `If-Match`, the ETag of the table or of its latest snapshot, only while that is true.
    """
    uri = hostile_uri(asked.uri)

    def enqueue(connection: Connection) -> Answer:
        table = _require_allowed(connection, caller, asked, uri)
        matched = matching(if_match, None if table is None else tag_of(table))
        order = Order(**asked.model_dump(), if_match=matched).model_dump(by_alias=True)
        job_id = tasks.enqueue(connection, KIND, order, caller, request_id(request))
        return Answer(
            202,
            Accepted(job_id=job_id, status=Status.QUEUED),
            action="register-snapshot",
            object=f"table:{asked.table_name}",
            location=f"/api/v1/jobs/{job_id}",
            detail={"uri": uri.as_uri(), "job_id": job_id},
        )

    answer = write(request, caller, asked, enqueue)
    if services.worker is not None:
        services.worker.look()
    return answer


def _require_allowed(
    connection: Connection, caller: Caller, asked: Payload, uri: Uri
) -> Row[Any] | None:
    """Refuses what the caller may not register; the table, if there is one already."""
    table = require_write(connection, caller, asked.table_name)
    location_for(connection, caller, uri)
    refuse_foreign(connection, caller, uri, asked.table_name)
    if asked.run_id is not None:
        require_open(run_for(connection, caller, asked.run_id, asked.job_name))
    return table


@router.get("/{job_id}", responses=refusals(404))
async def get_job(
    job_id: str,
    services: ServicesOf,
    request: Request,
    wait: Annotated[
        int, Query(ge=0, le=MAX_WAIT_S, description="seconds, at most, until it has ended")
    ] = 0,
) -> Job:
    """How a registration stands; its caller and administrators may know.

    Who waits takes no thread meanwhile, and is asked again who they are each time it is looked at.
    """

    def look() -> Job:
        caller = caller_of(request)  # which takes a connection of its own, and gives it back
        with services.database.reading() as connection:
            return _job(_theirs(connection, caller, job_id))

    deadline, pause_s = time.monotonic() + wait, _FIRST_PAUSE_S
    while True:
        job = await run_in_threadpool(look)
        left_s = deadline - time.monotonic()
        if job.status.is_end or left_s <= 0:
            return job
        await asyncio.sleep(min(pause_s, left_s))
        pause_s = min(_LONGEST_PAUSE_S, pause_s * 1.5)


@router.post("/{job_id}/cancel", response_model=Job, responses=refusals(403, 404, 409))
def cancel_job(job_id: str, caller: CallerOf, request: Request) -> Response:
    """Has a registration that has not ended never be done; for its caller and administrators."""

    def cancel(connection: Connection) -> Answer:
        row = _theirs(connection, caller, job_id)
        if not caller.enough(Privilege.INSERT, Privilege.UPDATE):
            raise ForbiddenProblem("the API key is for reading only")
        if not tasks.cancel(connection, job_id):
            row = _theirs(connection, caller, job_id)
            if row.status != Status.CANCELLED:  # else it was cancelled, once more or at once
                raise ConflictProblem(f"{job_id!r} is {row.status} already", code="job_ended")
        body = _job(_theirs(connection, caller, job_id))
        return Answer(200, body, action="cancel-job", object=f"job:{row.id}")

    return write(request, caller, None, cancel)


def _theirs(connection: Connection, caller: Caller, job_id: str) -> Row[Any]:
    query = select(tasks_table).where(tasks_table.c.id == job_id)
    row = connection.execute(query).first() if is_id(job_id, "job") else None
    is_theirs = row is not None and row.principal_id == caller.principal_id
    if row is None or not (
        is_theirs or is_true(connection, has_on_catalog(caller, Privilege.MANAGE))
    ):
        raise NotFoundProblem(f"there is no job {job_id!r}")
    return row


def _job(row: Row[Any]) -> Job:
    return Job(
        job_id=row.id,
        status=row.status,
        attempts=row.attempts,
        error_code=row.error_code,
        error=row.error,
        result=row.result,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )

"""Registrations, and what has become of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection, select

from datacachalog.server import tasks
from datacachalog.server.access import Privilege, has_on_catalog, is_true
from datacachalog.server.errors import NotFoundProblem
from datacachalog.server.locations import hostile_uri, location_for
from datacachalog.server.registering import KIND, Payload
from datacachalog.server.schema import tasks as tasks_table
from datacachalog.server.tables import require_write
from datacachalog.server.web import CallerOf, ServicesOf, request_id
from datacachalog.server.writing import Answer, write

router = APIRouter(prefix="/jobs", tags=["jobs"])


class Accepted(BaseModel):
    """A registration that will be done."""

    job_id: str = Field(examples=["job-0198f2c47d1e7a3b8c5d6e7f80912a3b"])
    status: str = Field(examples=["queued"])


class Job(BaseModel):
    """A registration, as it stands."""

    job_id: str
    status: str = Field(description="queued, running, completed or failed")
    attempts: int
    error_code: str | None
    error: str | None
    result: dict[str, Any] | None
    created_at: datetime
    finished_at: datetime | None


@router.post("/register-snapshot", status_code=202, response_model=Accepted)
def register_snapshot(
    asked: Payload,
    caller: CallerOf,
    services: ServicesOf,
    request: Request,
) -> Response:
    """Makes an object that is in a storage location the next snapshot of a table."""
    uri = hostile_uri(asked.uri)

    def enqueue(connection: Connection) -> Answer:
        require_write(connection, caller, asked.table_name)
        location_for(connection, caller, uri)
        payload = asked.model_dump(by_alias=True)
        job_id = tasks.enqueue(connection, KIND, payload, caller, request_id(request))
        return Answer(
            202,
            Accepted(job_id=job_id, status="queued"),
            action="register-snapshot",
            object=f"table:{asked.table_name}",
            location=f"/api/v1/jobs/{job_id}",
            detail={"uri": uri.as_uri(), "job_id": job_id},
        )

    answer = write(request, caller, asked, enqueue)
    if services.worker is not None:
        services.worker.look()
    return answer


@router.get("/{job_id}")
def get_job(job_id: str, caller: CallerOf, services: ServicesOf) -> Job:
    """How a registration stands; its caller and administrators may know."""
    with services.database.reading() as connection:
        row = connection.execute(select(tasks_table).where(tasks_table.c.id == job_id)).first()
        is_theirs = row is not None and row.principal_id == caller.principal_id
        if row is None or not (
            is_theirs or is_true(connection, has_on_catalog(caller, Privilege.MANAGE))
        ):
            raise NotFoundProblem(f"there is no job {job_id!r}")
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

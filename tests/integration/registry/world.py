"""A registry with a worker on a real database, and who calls it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import select
from starlette.testclient import TestClient

from datacachalog.server.catalog.locations import all_locations
from datacachalog.server.identity.principals import create_grant, create_key, create_principal
from datacachalog.server.schema import tables, tasks

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi import FastAPI

    from datacachalog.server.database import Database
    from datacachalog.server.identity.access import ObjectKind, Privilege


@dataclass
class Registry:
    """`admin` may do everything; `objects` is the folder of its own location."""

    app: FastAPI
    database: Database
    admin: TestClient
    objects: Path

    def client(self, key: str) -> TestClient:
        return TestClient(self.app, headers={"Authorization": f"Bearer {key}"})

    def principal(self, name: str, *granted: tuple[Privilege, ObjectKind, str]) -> TestClient:
        """A client of a new principal, who has been granted these."""
        with self.database.writing() as connection:
            made = create_principal(connection, name, "service")
            for privilege, kind, object_id in granted:
                create_grant(connection, made, privilege, kind, object_id)
            key = create_key(connection, made, "test")
        return self.client(key)

    def table_id(self, name: str) -> str:
        with self.database.reading() as connection:
            found = connection.execute(select(tables.c.id).where(tables.c.name == name))
            return str(found.scalar_one())

    def location_ids(self) -> list[str]:
        with self.database.reading() as connection:
            return [one.id for one in all_locations(connection)]

    def parquet(self, file: str, /, **columns: list[Any]) -> str:
        """The URI of a new Parquet file."""
        path = self.objects / file
        pq.write_table(pa.table(columns or {"id": [1, 2, 3]}), path)
        return path.as_uri()

    def registered(self, table: str, uri: str, client: TestClient | None = None) -> dict[str, Any]:
        """The job of a registration, when it has ended."""
        asked = {"table_name": table, "uri": uri, "format": "parquet"}
        return self.job(asked, client=client)

    def job(
        self,
        asked: dict[str, Any],
        headers: dict[str, str] | None = None,
        client: TestClient | None = None,
    ) -> dict[str, Any]:
        """The job of what is asked for, when it has ended."""
        caller = client or self.admin
        answer = caller.post("/api/v1/jobs/register-snapshot", json=asked, headers=headers)
        assert 202 == answer.status_code, answer.text
        return ended(caller, answer.headers["location"])


def ended(client: TestClient, location: str) -> dict[str, Any]:
    """A job, when it has ended."""
    deadline = time.monotonic() + 60
    while True:
        job: dict[str, Any] = client.get(location).json()
        if job["status"] not in {"queued", "running"}:
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.02)


def job_of(database: Database, job_id: str) -> dict[str, Any]:
    """A job, when it has ended, as the database has it."""
    deadline = time.monotonic() + 60
    while True:
        with database.reading() as connection:
            row = connection.execute(select(tasks).where(tasks.c.id == job_id)).one()
        if row.finished_at is not None:
            return dict(row._mapping)
        assert time.monotonic() < deadline, row
        time.sleep(0.02)

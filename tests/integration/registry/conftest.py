"""Every test of the registry runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from datacachalog.server.app import create_app
from datacachalog.server.principals import first_admin
from datacachalog.server.registering import Registrar
from datacachalog.server.serve import prepared
from datacachalog.server.settings import ServerSettings
from datacachalog.server.worker import Worker
from tests.integration.registry.world import Registry, job_of
from tests.servers.postgres import PostgreSQL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from sqlalchemy import Connection

    from datacachalog.server.database import Database


@pytest.fixture(scope="session")
def postgres(scratch: Path) -> Iterator[PostgreSQL]:
    folder = scratch / "postgres"
    folder.mkdir()
    server = PostgreSQL.start(folder)
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> ServerSettings:
    """Of a registry that is empty yet."""
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").database()
    return ServerSettings(data_dir=tmp_path / "data", database_url=url)


@pytest.fixture
def database(settings: ServerSettings) -> Iterator[Database]:
    made = prepared(settings)
    yield made
    made.close()


@pytest.fixture
def worker(database: Database) -> Iterator[Worker]:
    made = Worker(database, Registrar(database, os.environ))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def registry(database: Database, worker: Worker, settings: ServerSettings) -> Registry:
    with database.writing() as connection:
        key = first_admin(connection)
    app = create_app(database, worker)
    made = Registry(app, database, None, settings.data_dir / "objects")  # type: ignore[arg-type]
    made.admin = made.client(str(key))
    return made


@pytest.fixture
def asked_later(
    database: Database, settings: ServerSettings
) -> Callable[[Callable[[Connection], object]], dict[str, Any]]:
    """Registers with a worker that comes late, after a change; the job that has ended."""

    def ask(change: Callable[[Connection], object]) -> dict[str, Any]:
        with database.writing() as connection:
            key = first_admin(connection)
        made = Registry(create_app(database, None), database, None, settings.data_dir / "objects")  # type: ignore[arg-type]
        client = made.client(str(key))
        asked = {"table_name": "t", "uri": made.parquet("1.parquet"), "format": "parquet"}
        job = client.post("/api/v1/jobs/register-snapshot", json=asked).json()["job_id"]
        with database.writing() as connection:
            change(connection)
        late = Worker(database, Registrar(database, os.environ))
        late.start()
        try:
            return job_of(database, job)
        finally:
            late.stop()

    return ask

"""Every test of the registry runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from datacachalog.server.app import create_app
from datacachalog.server.database import Database
from datacachalog.server.identity.principals import first_admin
from datacachalog.server.serve import prepared
from datacachalog.server.settings import ServerSettings
from datacachalog.server.work.registering import Registrar
from datacachalog.server.work.worker import Worker
from tests.integration.registry.world import Registry, job_of
from tests.servers.postgres import PostgreSQL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from sqlalchemy import Connection


@pytest.fixture(scope="session")
def postgres(scratch: Path) -> Iterator[PostgreSQL]:
    folder = scratch / "postgres"
    folder.mkdir()
    server = PostgreSQL.start(folder)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def migrated(scratch: Path) -> ServerSettings:
    """Of a registry on SQLite that has all tables, and nothing in them. Making it takes a while."""
    made = ServerSettings(data_dir=scratch / "migrated")
    _migrate(made)
    return made


@pytest.fixture(scope="session")
def migrated_on_postgres(scratch: Path, postgres: PostgreSQL) -> str:
    """The name of such a database on PostgreSQL."""
    url = postgres.database()
    _migrate(ServerSettings(data_dir=scratch, database_url=url))
    return url.rpartition("/")[2]


def _migrate(settings: ServerSettings) -> None:
    database = Database(settings.url())
    database.migrate()
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> ServerSettings:
    """Of a registry that holds nothing yet; with the mark `unmigrated`, not even tables."""
    folder, is_bare = tmp_path / "data", request.node.get_closest_marker("unmigrated")
    if request.param == "postgresql":
        server: PostgreSQL = request.getfixturevalue("postgres")
        like = "template1" if is_bare else request.getfixturevalue("migrated_on_postgres")
        return ServerSettings(data_dir=folder, database_url=server.database(like))
    if not is_bare:
        shutil.copytree(request.getfixturevalue("migrated").data_dir, folder)
    return ServerSettings(data_dir=folder)


@pytest.fixture
def options(settings: ServerSettings) -> list[str]:
    """As the command is to be started on an empty registry."""
    found = ["--data-dir", str(settings.data_dir)]
    if settings.database_url is not None:
        found += ["--database-url", settings.database_url]
    return found


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
    app = create_app(database, worker, settings)
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

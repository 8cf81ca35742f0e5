"""A registry of the first release, with all that it can hold, serves on after an upgrade."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import text

from datacachalog.server.app import create_app
from datacachalog.server.database import Database, _migrations
from datacachalog.server.serve import prepared
from datacachalog.server.work.registering import Registrar
from datacachalog.server.work.worker import Worker
from tests.integration.registry.world import Registry, ended

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datacachalog.server.settings import ServerSettings

pytestmark = pytest.mark.unmigrated

DATLAKE = str(Path(sys.executable).with_name("datlake"))
KEY = "dlk_AAAAAAAAAAAA_" + "a" * 43
READER = "dlk_BBBBBBBBBBBB_" + "a" * 43
SECRET = "66d34fba71f8f450f7e45598853e53bfc23bbd129027cbb131a2f4ffd7878cd0"  # of 43 times "a"
T = 1_790_000_000_000_000  # microseconds since 1970
FIELDS = '[{"name": "id", "type": "int64", "nullable": true}]'
JOB = f"job-{'0' * 29}"

# As the first release wrote it. Nothing here is ever changed: `schema.py` goes on, this does not.
ROWS = f"""
INSERT INTO principals VALUES ('prin-1', 'admin', 'user', {T});
INSERT INTO principals VALUES ('prin-2', 'dashboard', 'service', {T});
INSERT INTO api_keys VALUES ('AAAAAAAAAAAA', 'prin-1', 'first', '{SECRET}', NULL, NULL, NULL, {T});
INSERT INTO api_keys
    VALUES ('BBBBBBBBBBBB', 'prin-2', '', '{SECRET}', '["SELECT"]', NULL, NULL, {T});
INSERT INTO api_keys VALUES ('CCCCCCCCCCCC', 'prin-2', '', '{SECRET}', NULL, {T}, {T}, {T});
INSERT INTO roles VALUES ('role-1', 'analysts', {T});
INSERT INTO role_members VALUES ('role-1', 'principal', 'prin-2', {T});
INSERT INTO grants VALUES ('grant-1', 'principal', 'prin-1', 'MANAGE', 'catalog', '', {T});
INSERT INTO grants VALUES ('grant-2', 'role', 'role-1', 'SELECT', 'table', 'tab-1', {T});
INSERT INTO storage_locations VALUES ('loc-1', 'file', '', '$objects/', '{{}}', {T});
INSERT INTO storage_locations
    VALUES ('loc-2', 's3', 'lake', 'sales/', '{{"endpoint_url": "https://minio"}}', {T});
INSERT INTO namespaces VALUES ('ns-1', 'default', {T});
INSERT INTO namespaces VALUES ('ns-2', 'team', {T});
INSERT INTO tables
    VALUES ('tab-1', 'ns-1', 'sales', 'additive', 'snap-2', 2, 2, 'prin-1', NULL, {T});
INSERT INTO tables VALUES ('tab-2', 'ns-2', 'gone', 'none', NULL, 0, 0, 'prin-1', {T}, {T});
INSERT INTO tables VALUES ('tab-3', 'ns-2', 'gone', 'strict', NULL, 0, 0, 'prin-1', NULL, {T});
INSERT INTO schemas VALUES ('schema-1', 'tab-1', 'f1', '{FIELDS}', {T});
INSERT INTO snapshots VALUES ('snap-1', 'tab-1', 1, NULL, 's3://lake/sales/1.csv', 'csv', NULL,
    NULL, 10, NULL, NULL, 'c1', 'prin-1', {T});
INSERT INTO snapshots VALUES ('snap-2', 'tab-1', 2, 'snap-1', 's3://lake/sales/2.parquet',
    'parquet', 'schema-1', 3, 500, 'e', 'v', 'c2', 'prin-1', {T});
INSERT INTO tasks VALUES ('{JOB}001', 'register-snapshot', '$payload', 'queued', 0, {T}, NULL, NULL,
    NULL, NULL, NULL, 'prin-1', 'AAAAAAAAAAAA', 'req-1', NULL, {T});
INSERT INTO tasks VALUES ('{JOB}002', 'register-snapshot', '$payload', 'running', 1, {T}, {T},
    'lease-1', NULL, NULL, NULL, 'prin-1', 'AAAAAAAAAAAA', 'req-1', NULL, {T});
INSERT INTO tasks VALUES ('{JOB}003', 'register-snapshot', '$payload', 'completed', 1, {T}, NULL,
    NULL, NULL, NULL, '{{"table_name": "sales", "snapshot_id": "snap-2"}}', 'prin-1',
    'AAAAAAAAAAAA', NULL, {T}, {T});
INSERT INTO tasks VALUES ('{JOB}004', 'register-snapshot', '$payload', 'failed', 1, {T}, NULL,
    NULL, 'uri_not_found', 'there is none', NULL, 'prin-1', 'AAAAAAAAAAAA', NULL, {T}, {T});
INSERT INTO idempotency VALUES ('prin-1', 'q1', '$digest', 202,
    '{{"job_id":"{JOB}003","status":"queued"}}', '/api/v1/jobs/{JOB}003', {T});
INSERT INTO audit VALUES ('audit-1', {T}, 'prin-1', 'AAAAAAAAAAAA', 'register-snapshot',
    'table:sales', 'req-1', '{{"uri": "s3://lake/sales/2.parquet", "job_id": "{JOB}003"}}');
"""
PAYLOAD = (
    '{"table_name": "sales", "uri": "$uri", "format": "parquet", "schema": null, '
    '"expected_parent": null}'
)
ASKED = {"table_name": "sales", "uri": "s3://lake/sales/2.parquet", "format": "parquet"}
DIGEST = "b932c632ad8b89579b93485ec61e32892ec015ce4be4fb56616e2d2809194864"


ROWS_OF = {
    name: sum(line.startswith(f"INSERT INTO {name}") for line in ROWS.splitlines())
    for name in re.findall(r"INTO (\w+)", ROWS)
}


def migrated_to(database: Database, revision: str) -> None:
    with database.alone() as connection:
        config = _migrations()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


@pytest.fixture
def first_release(settings: ServerSettings) -> ServerSettings:
    """The settings of a registry that the first release has left."""
    objects = settings.data_dir.absolute() / "objects"
    objects.mkdir(parents=True)
    with closing(Database(settings.url())) as database:
        migrated_to(database, "0001")
        payload = PAYLOAD.replace("$uri", f"file://{objects}/3.parquet")
        rows = ROWS.replace("$payload", payload).replace("$objects", str(objects))
        with database.writing() as connection:
            for statement in rows.replace("$digest", DIGEST).split(";\n"):
                if statement.strip():
                    connection.exec_driver_sql(statement)
    return settings


@pytest.fixture
def upgraded(first_release: ServerSettings) -> Iterator[Registry]:
    """That registry, after the present release was started on it; nobody works yet."""
    database = prepared(first_release)
    made = Registry(create_app(database, None), database, None, first_release.data_dir / "objects")  # type: ignore[arg-type]
    made.admin = made.client(KEY)
    yield made
    database.close()


def test_nothing_is_lost(first_release):
    def counts() -> dict[str, int]:
        with closing(Database(first_release.url())) as database, database.reading() as connection:
            return {
                name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()
                for name in ROWS_OF
            }

    before = counts()
    prepared(first_release).close()

    assert ROWS_OF == before == counts()
    with closing(Database(first_release.url())) as database, database.reading() as connection:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    assert found == ScriptDirectory.from_config(_migrations()).get_current_head()


def test_who_could_read_can(upgraded):
    for client, names in ((upgraded.admin, ["sales", "team.gone"]), (reader(upgraded), ["sales"])):
        found = client.get("/api/v1/tables/sales/snapshots/latest").json()

        assert ("snap-2", 2, "snap-1") == (found["snapshot_id"], found["seq"], found["parent_id"])
        assert ("s3://lake/sales/2.parquet", 3) == (found["uri"], found["row_count"])
        assert [("id", "int64")] == [(c["name"], c["type"]) for c in found["schema"]["fields"]]
        assert names == [one["name"] for one in client.get("/api/v1/tables").json()]


def reader(upgraded: Registry):
    return upgraded.client(READER)


def test_who_could_not_cannot(upgraded):
    assert 401 == upgraded.client(READER.replace("B", "C")).get("/api/v1/tables").status_code
    assert 403 == reader(upgraded).get("/api/v1/tables/team.gone/snapshots/latest").status_code
    asked = {**ASKED, "table_name": "mine"}
    assert 403 == reader(upgraded).post("/api/v1/jobs/register-snapshot", json=asked).status_code


def test_what_was_asked_for_is_done(upgraded):
    """What was queued, and what a worker of the old release had begun; what has ended stays so."""
    upgraded.parquet("3.parquet")
    worker = Worker(upgraded.database, Registrar(upgraded.database, os.environ))
    worker.start()
    try:
        jobs = [ended(upgraded.admin, f"/api/v1/jobs/{JOB}00{number}") for number in range(1, 5)]
    finally:
        worker.stop()

    assert ["completed", "completed", "completed", "failed"] == [one["status"] for one in jobs]
    found = upgraded.admin.get("/api/v1/tables/sales/snapshots/latest").json()
    assert (3, "snap-2") == (found["seq"], found["parent_id"])
    assert {found["snapshot_id"]} == {one["result"]["snapshot_id"] for one in jobs[:2]}
    assert "snap-2" == jobs[2]["result"]["snapshot_id"]
    assert ("uri_not_found", "there is none") == (jobs[3]["error_code"], jobs[3]["error"])


def test_a_key_that_stood_for_a_request_still_does(upgraded):
    answer = upgraded.admin.post(
        "/api/v1/jobs/register-snapshot", json=ASKED, headers={"Idempotency-Key": "q1"}
    )

    assert (202, f"{JOB}003") == (answer.status_code, answer.json()["job_id"])
    assert "true" == answer.headers["idempotent-replayed"]


def test_there_is_no_way_back(settings, database):
    """No release takes away what a newer one has written: it refuses to start."""
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    options = ["--data-dir", str(settings.data_dir), "--database-url", settings.url()]
    for what in ("serve", "worker"):
        started = [DATLAKE, *options, what]
        done = subprocess.run(started, capture_output=True, text=True, timeout=60, check=False)

        assert 0 != done.returncode
        assert "is of a newer version (9999)" in done.stderr
        assert "Traceback" not in done.stderr
    for one in ScriptDirectory.from_config(_migrations()).walk_revisions():
        assert not hasattr(one.module, "downgrade")

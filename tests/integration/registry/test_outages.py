"""A database that goes away and comes back, and servers and workers that are to end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
from sqlalchemy import select, text
from starlette.testclient import TestClient

from datacachalog.server import database as module
from datacachalog.server.app import create_app
from datacachalog.server.catalog.locations import create_location
from datacachalog.server.identity.principals import first_admin
from datacachalog.server.schema import tasks
from datacachalog.server.serve import prepared
from datacachalog.server.settings import ServerSettings
from tests.integration.registry.test_serving import DATLAKE, SAMPLE, Server
from tests.servers.postgres import PostgreSQL
from tests.servers.processes import HeldPorts

TABLES = "/api/v1/tables"


@pytest.fixture
def own_postgres(scratch):
    """One that may be stopped."""
    folder = scratch / f"postgres-{time.monotonic_ns()}"
    folder.mkdir()
    server = PostgreSQL.start(folder)
    yield server
    server.stop()


@pytest.fixture
def on_postgres(own_postgres, tmp_path):
    settings = ServerSettings(data_dir=tmp_path / "data", database_url=own_postgres.database())
    database = prepared(settings)
    with database.alone() as connection:
        key = first_admin(connection)
    yield TestClient(
        create_app(database, None, settings), headers={"Authorization": f"Bearer {key}"}
    )
    database.close()


def told(answer):
    return answer.status_code, answer.json()["code"], answer.headers["retry-after"]


def test_a_database_that_is_gone_is_told_and_used_again_when_it_is_back(own_postgres, on_postgres):
    assert 200 == on_postgres.get(TABLES).status_code
    own_postgres.stop()

    for path in (TABLES, "/readyz", "/api/v1/jobs/job-1", "/api/v1/datasets/objects/a"):
        answer = on_postgres.get(path)
        assert (503, "unavailable", "2") == told(answer), path
        assert "application/problem+json" == answer.headers["content-type"]
    assert 503 == on_postgres.put("/api/v1/datasets/objects/a", content=b"1").status_code
    assert 200 == on_postgres.get("/healthz").status_code  # to start it anew would mend nothing

    own_postgres.start_again()
    for path in ("/readyz", TABLES):
        assert 200 == on_postgres.get(path).status_code
    counted = on_postgres.get("/metrics").text
    assert "datlake_database_errors_total 4.0" in counted
    assert "datlake_database_up 1.0" in counted


def test_a_database_that_is_silent_is_told_in_time(own_postgres, on_postgres):
    assert 200 == on_postgres.get("/readyz").status_code
    own_postgres.freeze()
    started = time.monotonic()
    try:
        assert (503, "unavailable", "2") == told(on_postgres.get("/readyz"))
        assert time.monotonic() - started < 18  # TCP itself would tell after 20 s
    finally:
        own_postgres.freeze(thaw=True)
    assert 200 == on_postgres.get("/readyz").status_code


def test_a_worker_goes_on_when_its_database_is_back(own_postgres, tmp_path):
    url = own_postgres.database()
    options = ["--data-dir", str(tmp_path / "data"), "--database-url", url]
    server = Server(options, tmp_path)
    try:
        own_postgres.stop()
        time.sleep(1.5)
        own_postgres.start_again()
        shutil.copy(SAMPLE, tmp_path / "data" / "objects" / "a.parquet")
        uri = (tmp_path / "data" / "objects" / "a.parquet").as_uri()
        assert "completed" == server.registered("a", uri)["status"]
    finally:
        server.process.kill()
        server.process.wait()


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_a_database_that_another_program_has_locked_is_told(settings, registry, monkeypatch):
    monkeypatch.setattr(module, "_BUSY_MS", 200)  # as if it had waited long
    app = create_app(module.Database(settings.url()), None, settings)
    client = TestClient(app, headers=registry.admin.headers)
    asked = {"table_name": "t", "uri": registry.parquet("a.parquet"), "format": "parquet"}

    with registry.database.writing():
        answer = client.post("/api/v1/jobs/register-snapshot", json=asked)
        assert (503, "unavailable", "2") == told(answer)
        assert 200 == client.get("/readyz").status_code  # reading waits for nobody

    assert 202 == client.post("/api/v1/jobs/register-snapshot", json=asked).status_code
    app.state.services.database.close()


def test_a_database_of_another_form_is_not_ready(registry):
    assert 200 == registry.admin.get("/readyz").status_code
    with registry.database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))

    assert (503, "unavailable", "2") == told(registry.admin.get("/readyz"))


def test_what_nobody_foresaw_is_told_without_its_insides(registry, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("datacachalog.server.routes.tables.visible", fail)
    client = TestClient(registry.app, headers=registry.admin.headers, raise_server_exceptions=False)

    answer = client.get(TABLES)

    assert (500, "internal") == (answer.status_code, answer.json()["code"])
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "secret" not in answer.text


class Silent:
    """A store that takes connections, and never says a word."""

    def __init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.is_asked = threading.Event()
        self._taken: list[socket.socket] = []
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self):
        while True:
            try:
                taken, _ = self._socket.accept()
            except OSError:
                return
            self._taken.append(taken)
            self.is_asked.set()

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for one in self._taken:
            one.close()


@pytest.fixture
def silent():
    made = Silent()
    yield made
    made.close()


def listens(port):
    """Waits until a server takes connections."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_task_that_does_not_end_in_time_is_given_back_at_once(
    settings, registry, worker, options, silent, command
):
    worker.stop()
    with registry.database.writing() as connection:
        create_location(connection, "s3", "lake", "", {"endpoint_url": silent.endpoint})
    asked = {"table_name": "t", "uri": "s3://lake/a.parquet", "format": "parquet"}
    assert 202 == registry.admin.post("/api/v1/jobs/register-snapshot", json=asked).status_code
    keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-east-1"}
    ports = HeldPorts(1)
    port = ["--port", str(ports[0])] if command == "serve" else []
    process = subprocess.Popen(
        [DATLAKE, *options, command, *port],
        env={**os.environ, **keys, "DATLAKE_SERVER_SHUTDOWN_S": "1"},
        stderr=subprocess.DEVNULL,
    )
    try:
        assert silent.is_asked.wait(60)
        if command == "serve":
            listens(ports[0])  # it hears signals by then
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(60)
    finally:
        process.kill()
        process.wait()

    with registry.database.reading() as connection:
        row = connection.execute(select(tasks)).one()
    assert ("queued", None, None) == (row.status, row.lease_token, row.lease_until)

"""`datlake serve` and `datlake worker`, as processes that people start."""

from __future__ import annotations

import ctypes
import json
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.servers.processes import HeldPorts

DATLAKE = str(Path(sys.executable).with_name("datlake"))
SAMPLE = Path(__file__).parents[3] / "data" / "products.parquet"


class Server:
    """A server process, and how it is asked."""

    def __init__(self, options, folder, *more):
        self._ports = HeldPorts(1)
        (self.port,) = self._ports
        self.more: dict[str, str] = {}
        self.options, self.log = options, folder / f"serve-{self.port}.txt"
        command = [DATLAKE, *options, "serve", "--port", str(self.port), *more]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output)
        self.key = None
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        found = re.search(r"dlk_\S+", self.log.read_text())
        self.key = found[0] if found else None

    def _answers(self):
        try:
            return self.ask("/healthz") == {"status": "ok"}
        except OSError:
            return False

    def ask(self, path, body=None, key=None):
        address = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(address, headers=self.more)
        if key or self.key:
            request.add_header("Authorization", f"Bearer {key or self.key}")
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own server
            return json.load(answer)

    def registered(self, table, uri):
        asked = {"table_name": table, "uri": uri, "format": "parquet"}
        job = self.ask("/api/v1/jobs/register-snapshot", asked)
        deadline = time.monotonic() + 60
        while job["status"] in {"queued", "running"}:
            assert time.monotonic() < deadline, job
            time.sleep(0.05)
            job = self.ask(f"/api/v1/jobs/{job['job_id']}")
        return job

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


@pytest.fixture
def serve(options, tmp_path):
    started = []

    def start(*more):
        started.append(Server(options, tmp_path, *more))
        return started[-1]

    yield start
    for server in started:
        server.process.kill()
        server.process.wait()


def run(*args):
    done = subprocess.run([DATLAKE, *args], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout.strip(), done.stderr


@pytest.mark.unmigrated
def test_from_nothing_to_a_table_that_another_may_read(serve, options, settings):
    server = serve()
    shutil.copy(SAMPLE, settings.data_dir / "objects" / "products.parquet")
    uri = (settings.data_dir / "objects" / "products.parquet").as_uri()

    assert "completed" == server.registered("products", uri)["status"]

    found = server.ask("/api/v1/tables/products/snapshots/latest")
    assert (uri, 20) == (found["uri"], found["row_count"])
    _, key, _ = run(*options, "key", "create", "dashboard", "--only", "SELECT")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        server.ask("/api/v1/tables/products/snapshots/latest", key=key)
    assert (0, "") == run(*options, "grant", "SELECT", "table:products", "--to", "dashboard")[:2]
    assert found == server.ask("/api/v1/tables/products/snapshots/latest", key=key)
    assert (0, "") == run(*options, "key", "revoke", key.split("_")[1])[:2]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        server.ask("/api/v1/tables/products/snapshots/latest", key=key)


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_roles_policies_and_keys_that_end(serve, options, settings):
    server = serve()
    for name in ("1", "2"):
        shutil.copy(SAMPLE, settings.data_dir / "objects" / f"{name}.parquet")
    other = (settings.data_dir / "objects" / "other.parquet").as_uri()
    pq.write_table(pa.table({"id": [1]}), settings.data_dir / "objects" / "other.parquet")
    server.registered("t", (settings.data_dir / "objects" / "1.parquet").as_uri())
    assert "schema_incompatible" == server.registered("t", other)["error_code"]

    assert 0 == run(*options, "policy", "t", "none")[0]
    assert "completed" == server.registered("t", other)["status"]

    _, key, _ = run(*options, "key", "create", "ann", "--lives", "1h")
    _, gone, _ = run(*options, "key", "create", "ann", "--lives", "0s")
    assert 0 == run(*options, "role", "add", "readers", "ann")[0]
    assert 0 == run(*options, "role", "add", "readers", "ann")[0]  # again changes nothing
    assert [] == server.ask("/api/v1/tables", key=key)
    assert 0 == run(*options, "grant", "SELECT", "catalog", "--to", "role:readers")[0]
    assert ["t"] == [one["name"] for one in server.ask("/api/v1/tables", key=key)]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        server.ask("/api/v1/tables", key=gone)


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_the_key_is_shown_once(serve):
    first = serve()
    assert first.key is not None
    assert 0 == first.stop()

    assert None is serve().key


def test_workers_of_their_own(serve, options, settings, tmp_path):
    servers = [serve("--no-worker"), serve("--no-worker")]
    key = next(one.key for one in servers if one.key)
    command = [DATLAKE, *options, "worker"]
    workers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for worker in workers:
            assert worker.stderr is not None
            assert worker.stderr.readline() == "The worker is ready.\n"
        for number, server in enumerate(servers):
            server.key = key
            file = settings.data_dir / "objects" / f"{number}.parquet"
            shutil.copy(SAMPLE, file)
            assert "completed" == server.registered(f"t{number}", file.as_uri())["status"]
        names = [one["name"] for one in servers[0].ask("/api/v1/tables")]
        assert ["t0", "t1"] == names
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        assert [0, 0] == [worker.wait(60) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists a process's threads")
@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_a_worker_ends_whichever_of_its_threads_hears_the_signal(options):
    """The system may choose any; the main thread waits for a lock, which no signal disturbs."""
    with subprocess.Popen([DATLAKE, *options, "worker"], stderr=subprocess.PIPE) as worker:
        try:
            assert worker.stderr is not None
            assert b"The worker is ready.\n" == worker.stderr.readline()
            time.sleep(0.3)  # until the main thread waits
            threads = {int(one.name) for one in Path(f"/proc/{worker.pid}/task").iterdir()}
            other = max(threads - {worker.pid})
            assert 0 == ctypes.CDLL(None).tgkill(worker.pid, other, signal.SIGTERM)
            assert 0 == worker.wait(60)
        finally:
            worker.kill()


def run_program(text, *arguments):
    command = [sys.executable, "-c", text, *map(str, arguments)]
    subprocess.run(command, check=True, timeout=60)


def test_a_server_that_is_told_to_end_before_it_listens_ends(tmp_path):
    program = """
import os, signal, sys, uvicorn
from pathlib import Path
from datacachalog.server.serve import serve
from datacachalog.server.settings import ServerSettings

run = uvicorn.Server.run

def run_told(server):
    os.kill(os.getpid(), signal.SIGTERM)
    run(server)

uvicorn.Server.run = run_told
serve(ServerSettings(data_dir=Path(sys.argv[1]), port=0))
"""

    run_program(program, tmp_path)  # which ends well, and does not wait for the test's patience


def test_a_worker_is_not_ended_by_a_signal_that_somebody_else_handles():
    program = """
import os, signal, threading, time
from datacachalog.server.serve import told_to_end

heard = []
signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
with told_to_end() as wait:
    os.kill(os.getpid(), signal.SIGUSR1)
    begun = time.monotonic()
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    wait()
    assert heard and time.monotonic() - begun > 0.4
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
assert signal.set_wakeup_fd(-1) == -1
"""

    run_program(program)


WRONG = [
    (("grant", "SELECT", "table:none", "--to", "admin"), 3, "there is no table 'none'"),
    (("grant", "SELECT", "catalog", "--to", "nobody"), 3, "there is no principal 'nobody'"),
    (("grant", "SELECT", "everything", "--to", "admin"), 2, "a privilege is on catalog"),
    (("location", "add", "ftp://x/"), 2, "a location is s3://"),
    (("location", "add", "s3://b/", "--endpoint-url", "nonsense"), 2, "endpoint_url"),
    (("grantz",), 2, "there is no command 'grantz'"),
    (("grant", "SELECT", "catalog", "--to", "role:none"), 3, "there is no role 'none'"),
    (("role", "add", "readers", "nobody"), 3, "there is no principal 'nobody'"),
    (("key", "revoke", "nothing"), 3, "there is no key 'nothing'"),
    (("policy", "none", "strict"), 3, "there is no table 'none'"),
    (("key", "create", "ann", "--lives", "long"), 2, "must be a duration"),
]


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_what_cannot_be_is_told(serve, options):
    serve().stop()

    for command, code, told in WRONG:
        found, _, error = run(*options, *command)

        assert (code, True) == (found, told.lower() in error.lower()), error


def test_a_database_that_is_none_is_told(tmp_path):
    found, _, error = run("--database-url", "mysql://x/y", "worker")

    assert 0 != found
    assert "is none of sqlite and postgresql" in error

"""Uploads to a server process: what it takes of memory, and what is left when things end badly."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import threading
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest

from datacachalog.testing.payloads import payload
from tests.integration.registry.test_serving import DATLAKE, Server
from tests.servers.processes import HeldPorts

MIB = 1 << 20
HUGE = 300 * MIB
BLOCK = payload(7, MIB)
HEAD = "/api/v1/datasets"

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


class Uploading(Server):
    """A server, and how it is sent bytes as no library would."""

    def __init__(self, settings, folder, environ=None, preexec=None):
        self._ports = HeldPorts(1)
        (self.port,) = self._ports
        self.connections: list[HTTPConnection] = []
        self.more = {}
        self.log, self.key = folder / f"serve-{self.port}.txt", None
        self.objects = settings.data_dir / "objects"
        options = ["--data-dir", str(settings.data_dir), "serve", "--port", str(self.port)]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [DATLAKE, *options],
                stdout=output,
                stderr=output,
                env={**os.environ, **(environ or {})},
                preexec_fn=preexec,  # noqa: PLW1509 - no thread is running yet
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        found = re.search(r"dlk_\S+", self.log.read_text())
        self.key = found[0] if found else None

    def connection(self):
        return contextlib.closing(HTTPConnection("127.0.0.1", self.port, timeout=60))

    def headers(self, size=None):
        told = {"Authorization": f"Bearer {self.key}"}
        return told if size is None else {**told, "Content-Length": str(size)}

    def begun(self, key, size):
        """A connection over which an upload of that size was begun."""
        made = HTTPConnection("127.0.0.1", self.port, timeout=60)
        self.connections.append(made)
        made.putrequest("PUT", f"{HEAD}/objects/{key}")
        for name, value in self.headers(size).items():
            made.putheader(name, value)
        made.endheaders()
        return made

    def memory_bytes(self):
        """The most that the process has had of it."""
        found = re.search(
            r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text()
        )
        assert found is not None
        return int(found[1]) * 1024

    def takes_connections(self):
        with contextlib.suppress(ConnectionError):
            socket.create_connection(("127.0.0.1", self.port), timeout=60).close()
            return True
        return False

    def incoming(self):
        """What is on its way."""
        return list((self.objects / ".datlake-uploads").glob("*"))


@pytest.fixture
def start(settings, tmp_path):
    started = []

    def begin(**more):
        started.append(Uploading(settings, tmp_path, **more))
        return started[-1]

    yield begin
    for server in started:
        for connection in server.connections:
            connection.close()
        server.process.kill()
        server.process.wait()


def eventually(is_so):
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells what is taken")
@pytest.mark.parametrize("kind", ["declared", "chunked"])
@pytest.mark.parametrize("where", ["files", "s3"])
def test_a_huge_object_takes_little_memory(request, start, options, where, kind):
    environ, bucket = {}, "objects"
    if where == "s3":
        seaweedfs = request.getfixturevalue("seaweedfs")
        environ, bucket = seaweedfs.environment(), seaweedfs.bucket()
        add = [DATLAKE, *options, "location", "add", f"s3://{bucket}/"]
        told = ["--endpoint-url", seaweedfs.endpoint]
        subprocess.run([*add, *told], check=True, timeout=60)
    server = start(environ=environ)
    blocks = (BLOCK for _ in range(HUGE // MIB))
    with server.connection() as http:
        http.request("GET", "/api/v1/tables", headers=server.headers())
        assert 200 == http.getresponse().status
    before = server.memory_bytes()

    with server.connection() as http:
        headers, is_chunked = server.headers(HUGE), kind == "chunked"
        if is_chunked:
            headers = {**server.headers(), "Transfer-Encoding": "chunked"}
        http.request("PUT", f"{HEAD}/{bucket}/huge", blocks, headers, encode_chunked=is_chunked)
        answer = http.getresponse()
        assert 201 == answer.status, answer.read()
    with server.connection() as http:
        http.request("GET", f"{HEAD}/{bucket}/huge", headers=server.headers())
        answer, size = http.getresponse(), 0
        while block := answer.read(MIB):
            assert BLOCK == block
            size += len(block)

    assert HUGE == size
    assert server.memory_bytes() - before < 100 * MIB


def test_a_sender_that_hangs_up_leaves_nothing(start):
    server = start()
    http = server.begun("a", 50 * MIB)
    http.send(BLOCK * 5)
    eventually(server.incoming)

    http.close()

    eventually(lambda: not server.incoming())
    assert not (server.objects / "a").exists()


def test_a_server_that_was_killed_leaves_nothing_after_its_next_start(start):
    server = start()
    http = server.begun("a", 50 * MIB)
    http.send(BLOCK * 5)
    eventually(server.incoming)
    server.process.kill()
    server.process.wait()
    assert server.incoming()
    assert not (server.objects / "a").exists()

    assert [] == start().incoming()


def test_a_full_disk_leaves_nothing(start):
    """The system refuses to make a file longer than so much, as it does on a full disk."""

    def bounded():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20 * MIB, 20 * MIB))

    server = start(preexec=bounded)
    http = server.begun("a", 30 * MIB)
    with contextlib.suppress(ConnectionError):  # it may be told before all is sent
        for _ in range(30):
            http.send(BLOCK)
    answer = http.getresponse()

    assert 507 == answer.status
    assert b'"full"' in answer.read()
    assert [] == server.incoming()
    assert [".datlake-uploads"] == [one.name for one in server.objects.iterdir()]
    http = server.begun("b", MIB)
    http.send(BLOCK)
    assert 201 == http.getresponse().status


def test_one_that_is_refused_is_refused_before_its_bytes_come(start):
    server = start()
    key, server.key = server.key, "wrong"
    http = server.begun("a", 50 * MIB)
    assert 401 == http.getresponse().status

    server.key = key
    http = server.begun("a", 6 << 30)
    assert 413 == http.getresponse().status


def test_one_that_is_under_way_is_finished_by_a_server_that_is_to_end(start):
    server = start(environ={"DATLAKE_SERVER_SHUTDOWN_S": "60"})  # however slow this test is
    http = server.begun("a", 2 * MIB)
    http.send(BLOCK)
    eventually(server.incoming)
    server.process.send_signal(signal.SIGTERM)
    eventually(lambda: not server.takes_connections())
    http.send(BLOCK)

    assert 201 == http.getresponse().status
    assert 0 == server.process.wait(60)
    assert 2 * MIB == (server.objects / "a").stat().st_size


def test_one_that_takes_too_long_then_leaves_nothing(start):
    server = start(environ={"DATLAKE_SERVER_SHUTDOWN_S": "1"})
    http = server.begun("a", 2 * MIB)
    http.send(BLOCK)
    eventually(server.incoming)
    server.process.send_signal(signal.SIGTERM)

    assert 0 == server.process.wait(60)
    assert [] == server.incoming()
    assert not (server.objects / "a").exists()


HOSTILE = [
    "../a",
    "a/../../b",
    "%2e%2e/a",
    "..%2fa",
    "a%2Fb",
    "a//b",
    "/etc/passwd",
    "a/./b",
    "a/",
    "a%00b",
    "a%0ab",
    "a\\b",
    "a%5Cb",
    "a%3fb",
    "a*b",
    "a%25b",
    ".datlake-uploads/x",
    "b/.datacachalog-1.part",
    "x" * 256,
    "/".join(["x" * 200] * 6),
    "%ED%A0%80",
    "%FF",
    "e%CC%81",
    "a::b",
    "%E2%80%AE",
]


def test_a_hostile_path_is_refused(start):
    server = start()
    for key in HOSTILE:
        for method in ("PUT", "GET", "HEAD"):
            told = answer_to(server, method, f"{HEAD}/objects/{key}")
            assert re.match(rb"HTTP/1.1 (400|403|404|422) ", told), (method, key, told)

    found = [one for one in server.objects.rglob("*") if one.is_file()]
    assert [] == found


def answer_to(server, method, path):
    """What is answered to a path that is sent as it is."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as raw:
        head = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {server.key}"]
        head += ["Content-Length: 1", "Connection: close"]
        raw.sendall("\r\n".join([*head, "", "x"]).encode())
        return raw.makefile("rb").read()


def test_many_that_are_under_way_at_once_all_come(start):
    server = start()
    statuses = []

    def put(number):
        http = server.begun(f"n/{number}", 4 * MIB)
        for _ in range(4):
            http.send(BLOCK)
        statuses.append(http.getresponse().status)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(12)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)

    assert [201] * 12 == statuses
    assert 12 == len(list((server.objects / "n").iterdir()))

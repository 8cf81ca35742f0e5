"""Clients that are slow, hang up, or speak half of HTTP: a real server goes on serving others."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from datacachalog.server.identity.principals import first_admin
from datacachalog.server.schema import audit, idempotency, tasks
from tests.integration.registry.dying import Mortals
from tests.servers.processes import HeldPorts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datacachalog.server.database import Database


@dataclass
class Served:
    """A server process, spoken to byte by byte."""

    port: int
    key: str
    database: Database

    def connected(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def head(self, start: str, *headers: str) -> bytes:
        lines = (start, "Host: x", f"Authorization: Bearer {self.key}", *headers, "", "")
        return "\r\n".join(lines).encode()

    def registering(self, body: bytes, *headers: str) -> bytes:
        start = "POST /api/v1/jobs/register-snapshot HTTP/1.1"
        of_it = ("Content-Type: application/json", f"Content-Length: {len(body)}")
        return self.head(start, *of_it, *headers) + body

    def status(self, sent: bytes) -> int:
        """What is answered; 0 where the connection is closed without a word."""
        with closing(self.connected()) as connection:
            connection.sendall(sent)
            told = b""
            while b"\r\n" not in told and (more := connection.recv(65_536)):
                told += more
            return int(told.split()[1]) if told else 0

    def is_well(self) -> bool:
        begun = time.monotonic()
        status = self.status(self.head("GET /api/v1/tables HTTP/1.1", "Connection: close"))
        return status == 200 and time.monotonic() - begun < 40

    def counts(self) -> list[int]:
        """Of tasks, idempotency keys and lines of the audit."""
        with self.database.reading() as connection:
            return [
                connection.execute(select(func.count()).select_from(one)).scalar_one()
                for one in (tasks, idempotency, audit)
            ]


@pytest.fixture
def served(settings, database, tmp_path) -> Iterator[Served]:
    with database.writing() as connection:
        key = str(first_admin(connection))
    ports = HeldPorts(1)
    (port,) = ports
    with Mortals(settings, tmp_path / "log.txt") as mortals:
        pid = mortals.start("serve", port=port, worker=False)
        found = Served(port, key, database)
        deadline = time.monotonic() + 60
        while True:
            try:
                assert found.is_well()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield found
        assert found.is_well()  # whatever has been done to it
        assert not mortals.is_dead(pid)
        os.kill(pid, signal.SIGKILL)


def hang_up(connection: socket.socket) -> None:
    """At once, by a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.fixture
def body(settings) -> bytes:
    uri = (settings.data_dir.absolute() / "objects" / "x").as_uri()
    return json.dumps({"table_name": "t", "uri": uri, "format": "parquet"}).encode()


def test_slow_ones_keep_nobody_waiting(served, body):
    """More of them than there are threads; each has sent a part, and says no more."""
    request = served.registering(body)
    with ExitStack() as stack:
        for number in range(120):
            connection = stack.enter_context(closing(served.connected()))
            connection.sendall(request[: (10, len(request) - 5, len(request) // 2)[number % 3]])

        assert served.is_well()

    assert [0, 0, 0] == served.counts()


def test_who_hangs_up_in_a_body_has_asked_for_nothing(served, body):
    request = served.registering(body, "Idempotency-Key: k")
    for cut in range(len(request) - len(body), len(request), 7):
        connection = served.connected()
        connection.sendall(request[:cut])
        hang_up(connection)

    assert served.is_well()
    assert [0, 0, 0] == served.counts()


def test_who_hangs_up_before_the_answer_may_ask_again(served, body):
    request = served.registering(body, "Idempotency-Key: k")
    for _ in range(20):
        connection = served.connected()
        connection.sendall(request)
        hang_up(connection)

    assert 202 == served.status(request)
    assert [1, 1, 1] == served.counts()


WRONG = {
    "no HTTP": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(100),
    "no version": b"GET /\r\n\r\n",
    "a header without an end": b"GET / HTTP/1.1\r\nX: " + b"a" * 200_000,
    "headers without an end": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000,
    "NUL in a header": b"GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "a length and chunks": (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    ),
    "a negative length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "a path out of it": b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "an address": b"GET http://169.254.169.254/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "a tunnel": b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
}


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_what_is_half_of_http_is_refused(served):
    for name, sent in WRONG.items():
        try:
            status = served.status(sent)
        except (ConnectionResetError, BrokenPipeError):
            status = 0

        assert status == 0 or 400 <= status < 500, (name, status)


def test_a_body_without_an_end_is_cut_off(served):
    """It may be a megabyte; nobody has said how long it is."""
    start = "POST /api/v1/jobs/register-snapshot HTTP/1.1"
    kind = ("Content-Type: application/json", "Transfer-Encoding: chunked")
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    sent, status = 0, b""
    with closing(served.connected()) as connection:
        connection.sendall(served.head(start, *kind))
        connection.settimeout(0.01)
        while sent < 64 << 20 and not status:
            try:
                connection.settimeout(10)
                connection.sendall(chunk)
                sent += len(chunk)
                connection.settimeout(0.001)
                status = connection.recv(12)
            except TimeoutError:
                pass
            except (ConnectionResetError, BrokenPipeError):
                break

    assert status in {b"", b"HTTP/1.1 413"}
    assert sent < 16 << 20
    assert [0, 0, 0] == served.counts()

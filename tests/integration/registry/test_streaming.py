"""Streams of events, from server processes to clients on sockets."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import sys
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from sqlalchemy import update

from datacachalog.server.administration import grant, revoke_key
from datacachalog.server.database import Database
from datacachalog.server.events import streaming
from datacachalog.server.events.log import emit
from datacachalog.server.events.streaming import MAX_STREAMS_EACH
from datacachalog.server.identity.principals import create_key, create_principal
from datacachalog.server.listening import _Server
from datacachalog.server.schema import event_counter
from tests.integration.registry.test_serving import Server
from tests.servers.processes import HeldPorts

STREAM = "/api/v1/events/stream"
SOON_S = streaming._KEEP_ALIVE_S  # on a slow machine; nothing but an event comes sooner
sqlite = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


@dataclass
class Stream:
    """A client that reads events from a socket as they come."""

    server: Any  # has a port and a key
    query: str = ""
    key: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        self.connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        credentials = {"Authorization": f"Bearer {self.key or self.server.key}"}
        self.connection.request("GET", f"{STREAM}?{self.query}", headers=credentials | self.headers)
        self.answer = self.connection.getresponse()
        self.last_id = None

    def block(self):
        """The fields of the next block; None where the stream has ended."""
        found: dict[str, str] = {}
        while line := self.answer.readline().decode():
            if line == "\n":
                self.last_id = found.get("id", self.last_id)
                return found
            name, _, value = line.rstrip("\n").partition(": ")
            found[name] = value
        return None

    def event(self):
        """The next event: its type, and what it says."""
        while (found := self.block()) is not None:
            if "data" in found:
                return found["event"], json.loads(found["data"])
        return None

    def close(self):
        self.answer.close()
        self.connection.close()


@pytest.fixture
def options(settings):
    found = ["--data-dir", str(settings.data_dir)]
    if settings.database_url is not None:
        found += ["--database-url", settings.database_url]
    return found


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


@pytest.fixture
def server(serve):
    return serve()


@pytest.fixture
def follow():
    opened = []

    def open_one(*args, **more):
        opened.append(Stream(*args, **more))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture
def tell(server):
    """Broadcasts an event; its number."""

    def broadcast(kind, at=None, **more):
        asked = {"event_type": kind} | more
        return (at or server).ask("/api/v1/events/broadcast", asked)["seq"]

    return broadcast


def test_events_come_as_they_happen(server, follow, tell):
    stream = follow(server)
    assert (200, "0") == (stream.answer.status, stream.block()["id"])
    assert stream.answer.headers["Content-Type"].startswith("text/event-stream")
    assert stream.answer.headers["X-Request-Id"]

    for number in range(1, 4):
        begun = time.monotonic()
        tell("metrics", data={"rows": number})
        kind, told = stream.event()

        assert ("custom.metrics", number, {"rows": number}) == (kind, told["seq"], told["data"])
        assert time.monotonic() - begun < SOON_S


def test_who_comes_back_gets_what_it_missed(server, follow, tell):
    stream = follow(server)
    tell("one")
    assert "custom.one" == stream.event()[0]
    stream.close()
    for kind in ("two", "three"):
        tell(kind)

    again = follow(server, headers={"Last-Event-ID": stream.last_id})

    assert ["custom.two", "custom.three"] == [again.event()[0] for _ in range(2)]
    all_of_them = follow(server, "since=0&type=custom.one&type=custom.three")
    assert ["custom.one", "custom.three"] == [all_of_them.event()[0] for _ in range(2)]


def test_events_of_other_processes_come_too(serve, server, follow, tell):
    other = serve()
    other.key = server.key
    stream = follow(other)

    seen = []
    for number in range(6):
        tell(f"n{number}", at=(server, other)[number % 2])
        seen.append(stream.event()[1]["seq"])

    assert [1, 2, 3, 4, 5, 6] == seen


def test_a_key_that_is_revoked_hears_no_more(server, follow, tell, settings):
    with closing(Database(settings.url())) as database, database.writing() as connection:
        ids = [create_principal(connection, name, "service") for name in ("ann", "bob")]
        keys = [create_key(connection, one, "test") for one in ids]
    ann, bob = (follow(server, key=key) for key in keys)
    server.ask("/api/v1/jobs/etl/runs", {"run_id": "r"}, key=keys[0])
    assert "run.started" == ann.event()[0]

    for key in keys:
        revoke_key(settings, key.split("_")[1])
    begun = time.monotonic()
    tell("secret", run_id="r")  # which ann might know of

    for stream in (ann, bob):
        kind, told = stream.event()
        assert ("stream.end", "unauthenticated") == (kind, told["code"])
        assert None is stream.event()
    assert time.monotonic() - begun < SOON_S
    assert 401 == follow(server, key=keys[0]).answer.status


@sqlite
def test_a_grant_counts_from_when_it_is_given(server, follow, tell, settings):
    with closing(Database(settings.url())) as database, database.writing() as connection:
        ann = create_principal(connection, "ann", "service")
        key = create_key(connection, ann, "test")
    stream = follow(server, key=key)
    stream.block()
    grant(settings, "MANAGE", "catalog", "ann")

    tell("after")

    assert "custom.after" == stream.event()[0]


@sqlite
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_server_stops_while_streams_are_open(serve, follow, number, monkeypatch):
    monkeypatch.setenv("DATLAKE_SERVER_SHUTDOWN_S", "600")  # which it does not wait for
    server = serve()
    streams = [follow(server) for _ in range(3)]
    for stream in streams:
        stream.block()

    server.process.send_signal(number)
    server.process.wait(60)

    assert [None] * 3 == [stream.event() for stream in streams]
    assert "Traceback" not in server.log.read_text()


@sqlite
def test_streams_that_clients_have_left_make_room(server, follow, tell):
    streams = [follow(server) for _ in range(MAX_STREAMS_EACH)]
    for stream in streams:
        stream.block()
    refusal = follow(server).answer
    assert (429, "too-many-streams") == (refusal.status, json.load(refusal)["code"])

    streams[0].close()

    deadline = time.monotonic() + 60
    while follow(server).answer.status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "Traceback" not in server.log.read_text()


def rss_kib(process):
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@pytest.fixture
def stall():
    """Asks for all events, and reads none."""
    opened = []

    def ask(port, key):
        one = socket.create_connection(("127.0.0.1", port))
        opened.append(one)
        head = f"GET {STREAM}?since=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}"
        one.sendall(f"{head}\r\n\r\n".encode())

    yield ask
    for one in opened:
        one.close()


def fill(database, count):
    with database.writing() as connection:
        for _ in range(count):
            emit(connection, "custom.x", {"text": "x" * 15_000}, principal_id="prin-1")


@sqlite
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_clients_that_do_not_read_cost_little_and_hold_up_nobody(
    server, follow, tell, stall, settings
):
    with closing(Database(settings.url())) as database:
        fill(database, 2000)  # 30 MB for each client
    assert 2000 == follow(server, "since=1999").event()[1]["seq"]
    before = rss_kib(server.process)
    for _ in range(10):
        stall(server.port, server.key)
    time.sleep(3)

    stream = follow(server)
    tell("small")

    assert "custom.small" == stream.event()[0]
    assert rss_kib(server.process) - before < 60_000
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(60)


@pytest.fixture
def listening(registry):
    """The registry on a socket of this process."""
    ports = HeldPorts(1)
    config = uvicorn.Config(registry.app, port=ports[0], log_level="warning")
    server: Any = _Server(config, None, registry.app.state.feed)
    thread = threading.Thread(target=server.run)
    thread.start()
    server.port, server.key = config.port, registry.admin.headers["authorization"].split()[1]
    while not server.started:
        time.sleep(0.02)
    yield server
    server.should_exit = True
    thread.join()


@sqlite
def test_nothing_happens_but_the_stream_lives(registry, listening, follow, monkeypatch):
    monkeypatch.setattr(streaming, "_KEEP_ALIVE_S", 0.5)
    stream = follow(listening, "type=none")
    assert "0" == stream.block()["id"]
    with registry.database.writing() as connection:
        emit(connection, "custom.x", {}, principal_id="prin-1")

    begun = time.monotonic()
    while (found := stream.block())["id"] != "1":  # with what was not for it, too
        assert time.monotonic() - begun < 60

    assert {"": "keep-alive", "id": "1"} == found


def noting(join, joined):
    """How streams join, with a note of the first: it may be over before anybody looks."""

    @contextmanager
    def join_noted(principal_id):
        with join(principal_id):
            joined.set()
            yield

    return join_noted


@sqlite
def test_a_client_that_takes_nothing_is_cut(registry, listening, stall, monkeypatch):
    monkeypatch.setattr(streaming, "_STALLED_S", 0.5)
    fill(registry.database, 1000)

    feed, begun, joined = registry.app.state.feed, time.monotonic(), threading.Event()
    monkeypatch.setattr(feed, "joined", noting(feed.joined, joined))

    stall(listening.port, listening.key)

    assert joined.wait(60)
    while feed._streams:
        assert time.monotonic() - begun < 100
        time.sleep(0.02)


@sqlite
def test_a_stream_that_is_overtaken_is_ended(registry, listening, follow):
    stream = follow(listening)
    stream.block()
    with registry.database.writing() as connection:
        connection.execute(update(event_counter).values(last_seq=9, pruned_seq=5))

    kind, told = stream.event()

    assert ("stream.end", "events-pruned", 6) == (kind, told["code"], told["first_seq"])
    assert None is stream.event()

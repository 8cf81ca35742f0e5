"""Servers and workers are killed all the time: each registration is done once, or not at all."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select, text

from datacachalog.server.identity.principals import first_admin
from datacachalog.server.schema import (
    audit,
    events,
    idempotency,
    snapshots,
    table_moves,
    tables,
    tasks,
)
from tests.integration.registry.dying import Mortals
from tests.servers.processes import HeldPorts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from datacachalog.server.database import Database

TABLES = ("a", "b", "team.c")
LEASE_S = 0.5
# Of a worker, a task is some fifty positions; of a server, a request is a third as many.
POSITIONS = 90


@dataclass
class Asked:
    """What was accepted: the job of each file."""

    jobs: dict[str, str] = field(default_factory=dict)


@dataclass
class Client:
    """Registers file after file, each until it is accepted, whatever happens to the server."""

    port: int
    key: str
    objects: Path
    number: int
    over: threading.Event
    asked: Asked
    wrong: list[str] = field(default_factory=list)

    def run(self) -> None:
        chance, made = random.Random(self.number), 0
        while not self.over.is_set():
            made += 1
            name, table = f"{self.number}-{made}", chance.choice(TABLES)
            pq.write_table(pa.table({"id": [made]}), self.objects / name)
            job = self._accepted(name, table)
            if chance.random() < 0.3 and job != self._accepted(name, table):  # asked again
                self.wrong.append(f"{name} has two jobs")
            self.asked.jobs[name] = job

    def _accepted(self, name: str, table: str) -> str:
        body = {"table_name": table, "uri": (self.objects / name).as_uri(), "format": "parquet"}
        headers = {
            "Authorization": f"Bearer {self.key}",
            "Content-Type": "application/json",
            "Idempotency-Key": name,
        }
        address = f"http://127.0.0.1:{self.port}/api/v1/jobs/register-snapshot"
        while True:
            request = urllib.request.Request(address, json.dumps(body).encode(), headers)
            try:
                with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
                    return str(json.load(answer)["job_id"])
            except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
                if isinstance(error, urllib.error.HTTPError):
                    self.wrong.append(f"{name}: {error.code} {error.read()!r}")
                time.sleep(0.02)


@dataclass
class Reader:
    """Looks all the while: sequences without gaps, which only grow, and end at the current one."""

    database: Database
    over: threading.Event
    looks: int = 0
    wrong: list[Any] = field(default_factory=list)

    # One statement, so that READ COMMITTED sees one state of the database.
    QUERY = text(
        "SELECT t.id, t.seq, count(s.id), min(s.seq), max(s.seq), count(DISTINCT s.content_sha256),"
        " max(CASE WHEN s.id = t.current_snapshot_id THEN s.seq END)"
        " FROM tables t LEFT JOIN snapshots s ON s.table_id = t.id GROUP BY t.id, t.seq"
    )

    def run(self) -> None:
        last: dict[str, int] = {}
        while not self.over.is_set():
            with self.database.reading() as connection:
                rows = connection.execute(self.QUERY).all()
            for table, *numbers in rows:
                seq = numbers[0]
                if numbers != [seq, seq, 1, seq, seq, seq] or seq < last.get(table, 0):
                    self.wrong.append((table, numbers))
                last[table] = seq
            self.looks += 1
            time.sleep(0.005)


@dataclass
class Killing:
    """A server and two workers, each killed again and again: at a position, or at any moment."""

    mortals: Mortals
    port: int
    chance: random.Random
    killed: dict[str, int] = field(default_factory=lambda: {"serve": 0, "work": 0})
    positions: dict[str, Iterator[int]] = field(init=False)

    def __post_init__(self) -> None:
        every = range(1, POSITIONS + 1)
        self.positions = {what: cycle(self.chance.sample(every, POSITIONS)) for what in self.killed}

    def run(self, kills: int, asked: Asked) -> None:
        """Until that many are dead, and something was accepted meanwhile."""
        living = {place: self._new("serve" if place == 0 else "work") for place in range(3)}
        while sum(self.killed.values()) < kills or len(asked.jobs) < kills:
            time.sleep(0.01)
            for place, (what, pid, until) in living.items():
                if time.monotonic() > until:
                    os.kill(pid, signal.SIGKILL)
                if self.mortals.is_dead(pid):
                    self.killed[what] += 1
                    living[place] = self._new(what)
        for what, pid, _ in living.values():
            os.kill(pid, signal.SIGKILL)
            self.killed[what] += 1

    def _new(self, what: str) -> tuple[str, int, float]:
        position = next(self.positions[what]) if self.chance.random() < 0.8 else 0
        pid = self.mortals.start(what, position, **self.options(what))
        return what, pid, time.monotonic() + self.chance.uniform(0.3, 3)

    def options(self, what: str) -> dict[str, Any]:
        of_server = {"port": self.port, "worker": False}
        return {"lease_s": LEASE_S, **(of_server if what == "serve" else {})}

    def start_to_stay(self) -> list[int]:
        return [self.mortals.start(one, **self.options(one)) for one in ("serve", "work")]


@contextmanager
def running(*works: Any) -> Iterator[None]:
    threads = [threading.Thread(target=one.run, daemon=True) for one in works]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


@pytest.mark.timeout(3600)
def test_whatever_is_killed_each_registration_is_done_once(settings, database, tmp_path, whole):
    with database.writing() as connection:
        key = str(first_admin(connection))
    ports, over, asked, objects = (
        HeldPorts(1),
        threading.Event(),
        Asked(),
        settings.data_dir / "objects",
    )
    (port,) = ports
    clients = [Client(port, key, objects, number, over, asked) for number in range(2)]
    stopped = threading.Event()
    reader = Reader(database, stopped)
    with Mortals(settings, tmp_path / "log.txt") as mortals:
        killing = Killing(mortals, port, random.Random(7))
        with running(reader):
            with running(*clients):
                killing.run(200 if whole else 10, asked)
                living = killing.start_to_stay()
                over.set()
            wait_for_all(database)
            stopped.set()
        for pid in living:
            os.kill(pid, signal.SIGKILL)
    assert all(killing.killed.values()), killing.killed
    assert reader.looks > 10
    assert [] == reader.wrong
    assert [] == [told for one in clients for told in one.wrong]
    assert asked.jobs
    assert_done_once(database, asked)


def wait_for_all(database: Database) -> None:
    deadline = time.monotonic() + 120
    while True:
        with database.reading() as connection:
            left = connection.execute(select(tasks.c.id).where(tasks.c.finished_at.is_(None))).all()
        if not left:
            return
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def assert_done_once(database: Database, asked: Asked) -> None:
    """Of all that was accepted nothing is lost, nothing is there twice, and nothing else is."""
    with database.reading() as connection:
        jobs = {one.id: one for one in connection.execute(select(tasks))}
        made = connection.execute(select(snapshots).order_by(snapshots.c.seq)).all()
        known = {one.key: one for one in connection.execute(select(idempotency))}
        notes = connection.execute(select(audit)).all()
        current = {one.id: one for one in connection.execute(select(tables))}
        moves = connection.execute(select(table_moves).order_by(table_moves.c.number)).all()
        told = connection.execute(select(events).order_by(events.c.seq)).all()
    # A job, an idempotency key and a line of the audit for each file, none without the others.
    assert sorted(asked.jobs) == sorted(known)
    assert sorted(asked.jobs.values()) == sorted(jobs)
    assert asked.jobs == {name: json.loads(one.body)["job_id"] for name, one in known.items()}
    assert sorted(jobs) == sorted(one.detail["job_id"] for one in notes)
    # Each has ended: with its one snapshot, or given up after many deaths, with none.
    assert {"completed"} >= {one.status for one in jobs.values()} - {"failed"}
    assert {one.error_code for one in jobs.values() if one.status == "failed"} <= {"worker_lost"}
    done = {one.result["snapshot_id"]: one for one in jobs.values() if one.status == "completed"}
    assert {one.id for one in made} == set(done)
    assert {one.id: one.uri for one in made} == {
        snapshot: job.payload["uri"] for snapshot, job in done.items()
    }
    # What was committed was told, once, and no number of an event is left out.
    assert list(range(1, len(made) + 1)) == [one.seq for one in told]
    assert {one.id for one in made} == {one.data["snapshot_id"] for one in told}
    for table in current.values():
        moved = [(one.number, one.snapshot_id) for one in moves if one.table_id == table.id]
        line = [one for one in made if one.table_id == table.id]
        assert list(range(1, len(line) + 1)) == [one.seq for one in line]
        assert moved == [(one.seq, one.id) for one in line]
        assert [None, *(one.id for one in line)] == [
            *(one.parent_id for one in line),
            table.current_snapshot_id,
        ]

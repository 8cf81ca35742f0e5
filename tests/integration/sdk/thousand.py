"""Operations on a registry that is hard to reach, beside a model of what they must come to."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from datacachalog.domain.errors import (
    ApiConflictError,
    JobFailedError,
    NotFoundError,
    ServerError,
    TransientError,
)
from datlake_sdk import DatlakeClient
from tests.servers.exchange import Reply, Script

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from datacachalog.domain.errors import ApiError
    from datacachalog.sdk.records import Event
    from tests.servers.counting import CountingProxy
    from tests.servers.datlake import DatlakeServer
    from tests.servers.exchange import Exchange

UNKNOWN = (TransientError, ServerError)
"""What is raised where it is not known whether it was done."""

_HTML = {"Content-Type": "text/html"}
_JSON = {"Content-Type": "application/json"}


class Faults:
    """What a proxy does to requests, by chance; it counts them by their kinds."""

    def __init__(self, seed: int, share: float) -> None:
        self._random, self._share = Random(seed), share
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()

    def __call__(self, exchange: Exchange) -> Script | None:
        with self._lock:
            if self._random.random() > self._share:
                return None
            kinds = self._of_streams() if "/events/stream" in exchange.path else self._of_all()
            kind, script = self._random.choice(kinds)
            self.counts[kind] += 1
            return script

    def _of_streams(self) -> list[tuple[str, Script]]:
        where = self._random.randrange(2000)
        return [
            ("stream is cut", Script(cut_after=where)),
            ("stream is reset", Script(cut_after=where, resets=True)),
            ("503", Script(reply=Reply(503))),
        ]

    def _of_all(self) -> list[tuple[str, Script]]:
        where, resets = self._random.randrange(1, 400), self._random.random() < 0.5
        return [
            ("request is lost", Script(cut_up_after=0)),
            ("request is cut", Script(cut_up_after=where)),
            ("answer is lost", Script(is_lost=True)),
            ("answer is lost", Script(is_lost=True)),
            ("answer is cut", Script(cut_after=where, resets=resets)),
            ("answer is cut", Script(cut_after=0, resets=resets)),
            ("answer is late", Script(delay_s=where / 2000)),
            ("JSON is cut", Script(reply=Reply(200, b'[{"na', _JSON))),
            ("500", Script(reply=Reply(500))),
            ("502 in HTML", Script(reply=Reply(502, b"<html>", _HTML))),
            ("503", Script(reply=Reply(503, b"", {"Retry-After": "0"}))),
            ("429", Script(reply=Reply(429, b"", {"Retry-After": "1"}))),
            *([("stalls", Script(cut_after=0, stalls=True))] if where < 60 else []),
        ]


class World:
    """A registry, the ways to ask it, and what all who ask it did."""

    def __init__(self, server: DatlakeServer, proxy: CountingProxy, *, is_whole: bool) -> None:
        self.server, self.is_whole = server, is_whole
        key = server.admin_key
        patient, hasty = "max=10,base_ms=20", "max=0"
        self.patient = DatlakeClient(proxy.endpoint, key, retry=patient, default_timeout_ms=5000)
        self.hasty = DatlakeClient(proxy.endpoint, key, retry=hasty, default_timeout_ms=2500)
        self.judge = DatlakeClient(server.base_url, key, retry="max=12,base_ms=50")
        self.done: Counter[str] = Counter()
        self.shared: dict[str, str] = {}
        """The snapshots of the table that all write to, each with the one before it."""
        self._lock = threading.Lock()
        self._gate = threading.Lock()

    def registering(self) -> AbstractContextManager[object]:
        """Held while something is registered, unless all is tried.

        What a worker of the registry was at when it was killed lies until its lease is over, which
        is longer than the quick form may take.
        """
        return nullcontext() if self.is_whole else self._gate

    def killing(self) -> AbstractContextManager[object]:
        """Held while the registry is killed."""
        return self.registering()

    def count(self, what: str) -> None:
        with self._lock:
            self.done[what] += 1


@dataclass
class TableModel:
    """A table as it must be: its snapshots in their order, and which of them is current."""

    name: str
    made: list[tuple[str, str]] = field(default_factory=list)
    current: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    is_dropped: bool = False
    moves: Counter[str] = field(default_factory=Counter)

    @property
    def current_id(self) -> str | None:
        return None if self.current is None else self.made[self.current][0]


@dataclass
class RunModel:
    """A run as it must be."""

    job_name: str
    status: str = "running"
    outputs: set[tuple[str, str]] = field(default_factory=set)


class Worker:
    """Who does operations, one after the other, on tables, runs and objects of its own."""

    def __init__(self, name: str, world: World, seed: int, folder: Path) -> None:
        self.name, self.world, self._random, self._folder = name, world, Random(seed), folder
        self.tables = {f"{name}_{n}": TableModel(f"{name}_{n}") for n in range(3)}
        self.runs: dict[str, RunModel] = {}
        self.objects: dict[str, bytes] = {}
        self.told: dict[str, bool] = {}
        """By their tokens, the events that were published, and whether that is sure."""
        self._number = 0

    def step(self) -> None:
        """One operation, chosen by chance of those that make sense now."""
        choices: list[tuple[Callable[[], str], int]] = [
            (self.register, 6),
            (self.register_missing, 1),
            (self.race, 2),
            (self.change_tags, 3),
            (self.roll_back, 1),
            (self.drop_or_undrop, 2),
            (self.read, 6),
            (self.start_run, 3),
            (self.beat, 2),
            (self.complete, 4),
            (self.read_runs, 1),
            (self.publish, 3),
            (self.upload, 3),
            (self.download, 1),
        ]
        one = self._random.choices([c for c, _ in choices], [w for _, w in choices])[0]
        self.world.count(f"{one.__name__}: {one()}")

    def _ask(
        self,
        ask: Callable[[DatlakeClient], Any],
        refused: tuple[type[ApiError], ...] = (),
        refused_again: tuple[type[ApiError], ...] = (),
    ) -> Any:
        """What comes of a change: a value, or one of the errors that are `refused`.

        Where it is not known whether it was done, it is done again in a way that says so; that may
        also end as `refused_again`, for having been done before.
        """
        client = self.world.hasty if self._luck(0.2) else self.world.patient
        try:
            return ask(client)
        except refused as error:
            return error
        except UNKNOWN:
            self.world.count("given up, and settled")
        try:
            return ask(self.world.judge)
        except refused + refused_again as error:
            return error

    def _look(self, ask: Callable[[DatlakeClient], Any]) -> Any:
        """What a question is answered with, whose errors are part of the answer."""
        client = self.world.hasty if self._luck(0.2) else self.world.patient
        try:
            return ask(client)
        except UNKNOWN:
            return UNKNOWN
        except NotFoundError:
            return NotFoundError

    def _next(self) -> str:
        self._number += 1
        return f"{self.name}-{self._number}"

    def _table(self) -> TableModel:
        return self._random.choice(list(self.tables.values()))

    def _live(self) -> TableModel | None:
        known = [one for one in self.tables.values() if one.made and not one.is_dropped]
        return self._random.choice(known) if known else None

    def _open_run(self) -> str | None:
        known = [run for run, model in self.runs.items() if model.status == "running"]
        return self._random.choice(known) if known else None

    def register(self) -> str:
        table = self._table()
        if table.is_dropped:
            return "skipped"
        again = self._random.choice(table.made)[1] if table.made and self._luck(0.15) else None
        uri = again or self.world.server.object(f"id\n{self._next()}\n".encode())
        parent, run_id = self._parent(table), self._open_run() if self._luck(0.5) else None
        job_name = self.runs[run_id].job_name if run_id else None
        key = uuid.uuid4().hex

        def ask(client: DatlakeClient) -> str | None:
            return client.register_snapshot(
                table.name,
                uri,
                "csv",
                expected_parent=parent,
                job_name=job_name,
                run_id=run_id,
                idempotency_key=key,
            ).snapshot_id

        is_right = parent in {None, table.current_id or "none"}
        with self.world.registering():
            found = self._ask(ask, () if is_right else (ApiConflictError,))
        if not is_right:
            assert isinstance(found, ApiConflictError), found
            assert "parent_conflict" == found.code
            return "refused"
        self._committed(table, found, uri, is_new=again is None)
        if run_id is not None:
            self.runs[run_id].outputs.add((table.name, found))
        return "done" if again is None else "done again"

    def _luck(self, share: float) -> bool:
        return self._random.random() < share

    def _parent(self, table: TableModel) -> str | None:
        wrong = "snap-" + uuid.uuid4().hex if self._luck(0.3) else (table.current_id or "none")
        return wrong if self._luck(0.4) else None

    def _committed(self, table: TableModel, made: str, uri: str, *, is_new: bool) -> None:
        if is_new:
            assert made not in dict(table.made), "one snapshot for two objects"
            table.made.append((made, uri))
        before, table.current = table.current, table.made.index((made, uri))
        table.moves[made] += before != table.current

    def register_missing(self) -> str:
        table = self._table()
        uri = self.world.server.objects.joinpath(self._next()).as_uri()
        key = uuid.uuid4().hex

        def ask(client: DatlakeClient) -> object:
            return client.register_snapshot(table.name, uri, idempotency_key=key)

        with self.world.registering():
            found = self._ask(ask, (JobFailedError,))
        assert isinstance(found, JobFailedError), found
        assert "uri_not_found" == found.code
        return "refused"

    def race(self) -> str:
        """Makes a table that all write to longer, unless another was first."""
        found = self._look(lambda c: c.get_latest_snapshot("shared").snapshot_id)
        if found is UNKNOWN:
            return "given up"
        parent = "none" if found is NotFoundError else str(found)
        uri = self.world.server.object(f"id\n{self._next()}\n".encode())
        key = uuid.uuid4().hex

        def ask(client: DatlakeClient) -> str:
            job = client.register_snapshot(
                "shared", uri, "csv", expected_parent=parent, idempotency_key=key
            )
            return str(job.snapshot_id)

        with self.world.registering():
            found = self._ask(ask, (ApiConflictError,))
        if isinstance(found, ApiConflictError):
            return "lost"
        self.world.shared[found] = parent
        return "won"

    def change_tags(self) -> str:
        table, tag = self._live(), f"tag{self._random.randrange(3)}"
        if table is None:
            return "skipped"
        name = table.name
        if tag in table.tags and self._luck(0.4):
            self._ask(lambda c: c.delete_tag(name, tag), (), (NotFoundError,))
            del table.tags[tag]
            return "taken away"
        snapshot_id = self._random.choice(table.made)[0]
        made = self._ask(lambda c: c.set_tag(name, tag, snapshot_id))
        assert snapshot_id == made.snapshot_id
        table.tags[tag] = snapshot_id
        return "put"

    def roll_back(self) -> str:
        if (table := self._live()) is None:
            return "skipped"
        name, to = table.name, self._random.randrange(len(table.made))
        snapshot_id = table.made[to][0]
        if table.current != to and self._luck(0.3):
            wrong = snapshot_id
            found = self._ask(
                lambda c: c.roll_back(name, snapshot_id, expected_current=wrong),
                (ApiConflictError,),
            )
            assert isinstance(found, ApiConflictError), found
            return "refused"
        assert snapshot_id == self._ask(lambda c: c.roll_back(name, snapshot_id))
        table.current = to
        return "done"

    def drop_or_undrop(self) -> str:
        table = self._table()
        name = table.name
        if not table.made:
            found = self._ask(lambda c: c.drop_table(name), (NotFoundError,))
            assert isinstance(found, NotFoundError), found
            return "refused"
        if table.is_dropped:
            self._ask(lambda c: c.undrop_table(name), (), (NotFoundError, ApiConflictError))
        else:
            self._ask(lambda c: c.drop_table(name), (), (NotFoundError,))
        table.is_dropped = not table.is_dropped
        return "dropped" if table.is_dropped else "brought back"

    def read(self) -> str:
        table = self._table()
        expected: dict[str, Any] = readings(table)
        what = self._random.choice(list(expected))
        found = self._look(lambda c: reading(c, table, what))
        if found is UNKNOWN:
            return "given up"
        assert expected[what] == found, (what, table, found)
        return "done"

    def start_run(self) -> str:
        run_id, job_name = str(uuid.uuid4()), f"{self.name}_job{self._random.randrange(2)}"
        made = self._ask(
            lambda c: c.start_run(job_name, {"n": 1}, run_id=run_id, heartbeat_interval_s=3600)
        )
        assert (run_id, "running") == (made.run_id, made.status)
        self.runs[run_id] = RunModel(job_name)
        return "done"

    def beat(self) -> str:
        if not self.runs:
            return "skipped"
        run_id, run = self._random.choice(list(self.runs.items()))
        is_over = run.status != "running"
        refused = (ApiConflictError,) if is_over else ()
        found = self._ask(lambda c: c.heartbeat(run.job_name, run_id), refused)
        assert is_over == isinstance(found, ApiConflictError), found
        return "refused" if is_over else "done"

    def complete(self) -> str:
        if not self.runs:
            return "skipped"
        open_run = self._open_run()
        run_id = self._random.choice(list(self.runs)) if self._luck(0.2) else open_run
        if run_id is None:
            return "skipped"
        run, status = self.runs[run_id], self._random.choice(["success", "failed", "aborted"])
        is_other = run.status not in {"running", status}
        found = self._ask(
            lambda c: c.complete_run(run.job_name, run_id, status),  # type: ignore[arg-type]
            (ApiConflictError,) if is_other else (),
        )
        if is_other:
            assert isinstance(found, ApiConflictError), found
            return "refused"
        assert status == found.status
        run.status = status
        return "done"

    def read_runs(self) -> str:
        job_name = f"{self.name}_job{self._random.randrange(2)}"
        found = self._look(lambda c: {one.run_id: one.status for one in c.list_runs(job_name)})
        if found is UNKNOWN:
            return "given up"
        wanted = {run: one.status for run, one in self.runs.items() if one.job_name == job_name}
        assert wanted == found
        return "done"

    def publish(self) -> str:
        token = self._next()
        try:
            self.world.patient.publish("told", {"token": token})
        except UNKNOWN:
            self.told[token] = False
            return "given up"
        self.told[token] = True
        return "done"

    def upload(self) -> str:
        name, replace = f"up/{self.name}/{self._random.randrange(5)}", self._luck(0.6)
        data = f"{self._next()} ".encode() * self._random.choice([0, 1, 100, 30_000])
        file = self._folder / self.name
        file.write_bytes(data)
        is_there = name in self.objects and not replace

        def ask(client: DatlakeClient) -> str:
            return client.upload_object("objects", name, file, replace=replace)

        refused = (ApiConflictError,) if is_there else ()
        found = self._ask(ask, refused, () if replace else (ApiConflictError,))
        if is_there:
            assert isinstance(found, ApiConflictError), found
            return "refused"
        self.objects[name] = data
        return "done"

    def download(self) -> str:
        if not self.objects:
            return "skipped"
        name, data = self._random.choice(list(self.objects.items()))
        to = self._folder / f"{self.name}.down"
        if self._look(lambda c: c.download_object("objects", name, to)) is UNKNOWN:
            return "given up"
        assert data == to.read_bytes()
        return "done"


def readings(table: TableModel) -> dict[str, Any]:
    """What questions about a table must be answered with."""
    if table.is_dropped or not table.made:
        unknown = dict.fromkeys(("latest", "snapshot", "snapshots", "tags"), NotFoundError)
        return {**unknown, "is listed": False}
    ids = [snapshot_id for snapshot_id, _ in table.made]
    return {
        "latest": (table.current_id, table.made[table.current or 0][1]),
        "snapshot": table.made[-1],
        "snapshots": [(seq + 1, one) for seq, one in reversed(list(enumerate(ids)))],
        "tags": table.tags,
        "is listed": True,
    }


def reading(client: DatlakeClient, table: TableModel, what: str) -> Any:
    """What a question about a table is answered with."""
    if what == "latest":
        found = client.get_latest_snapshot_uri(table.name)
        return (found.snapshot_id, found.uri)
    if what == "snapshot":
        found = client.get_snapshot(table.name, table.made[-1][0] if table.made else "snap-x")
        return (found.snapshot_id, found.uri)
    if what == "snapshots":
        return [(one.seq, one.snapshot_id) for one in client.list_snapshots(table.name)]
    if what == "tags":
        return {one.name: one.snapshot_id for one in client.list_tags(table.name)}
    return table.name in {one.name for one in client.get_tables(containing=table.name)}


def tokens(events: list[Event]) -> Counter[str]:
    """How often each token was told."""
    return Counter(one.data["token"] for one in events if one.type == "custom.told")

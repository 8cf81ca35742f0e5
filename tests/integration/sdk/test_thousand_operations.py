"""A thousand operations on a registry that is hard to reach and killed again and again.

`--faults=whole` does all thousand, for some minutes; else it is a part of them. With
`--log-cli-level=INFO` it tells how often what was done, and what befell it.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.integration.sdk.thousand import UNKNOWN, Faults, Worker, World, reading, readings, tokens
from tests.servers.counting import CountingProxy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datacachalog.sdk.records import Event
    from datlake_sdk import DatlakeClient
    from tests.servers.datlake import DatlakeServer

_log = logging.getLogger(__name__)
_SEED = 20_260_731
_WORKERS = 4


class _Follower(threading.Thread):
    """Follows all events through the faults, to the last one."""

    def __init__(self, client: DatlakeClient) -> None:
        super().__init__(daemon=True)
        self._client = client
        self.seen: list[Event] = []

    def run(self) -> None:
        while not self.seen or self.seen[-1].type != "custom.end":
            try:
                for event in self._client.follow(since=self.seen[-1].seq if self.seen else 0):
                    self.seen.append(event)
                    if event.type == "custom.end":
                        return
            except UNKNOWN:
                time.sleep(0.2)  # it tells that it gave up, and is begun again


class _Shift(threading.Thread):
    """One worker's operations, until it has done so many, or one did not end as it must."""

    def __init__(self, worker: Worker, count: int) -> None:
        super().__init__(daemon=True)
        self.worker, self._left = worker, count
        self.error: BaseException | None = None

    def run(self) -> None:
        while self._left:
            try:
                self.worker.step()
            except BaseException as error:  # raised by the test
                self.error = error
                return
            self._left -= 1


def _killed(world: World, shifts: list[_Shift], every_s: float, most: int) -> int:
    """Kills the registry now and then until all is done; how often."""
    chance, count = random.Random(_SEED), 0
    due = time.monotonic() + every_s / 2
    while any(one.is_alive() for one in shifts):
        time.sleep(0.02)
        if time.monotonic() > due and count < most:
            with world.killing():
                world.server.kill()
                time.sleep(chance.uniform(0, 0.5))
                world.server.start()
            count += 1
            due = time.monotonic() + chance.uniform(0.5, 1.5) * every_s
    return count


def _assert_as_modelled(world: World, worker: Worker, folder: Path) -> None:
    judge = world.judge
    for table in worker.tables.values():
        if table.is_dropped:
            judge.undrop_table(table.name)
            table.is_dropped = False
        if table.made:
            for what, expected in readings(table).items():
                assert expected == reading(judge, table, what), (table.name, what)
    for run_id, run in worker.runs.items():
        found = judge.get_run(run_id)
        outputs = {(one["table_name"], one["snapshot_id"]) for one in found.outputs}
        assert (run.status, run.outputs) == (found.status, outputs), run_id
        assert len(found.outputs) == len(outputs)
    for job_name in {run.job_name for run in worker.runs.values()}:
        listed = {one.run_id for one in judge.list_runs(job_name)}
        assert {one for one, run in worker.runs.items() if run.job_name == job_name} == listed
    for name, data in worker.objects.items():
        assert data == judge.download_object("objects", name, folder / "found").read_bytes()
    there = world.server.objects / "up" / worker.name
    stored = {f"up/{worker.name}/{path.name}" for path in there.glob("*")}
    assert set(worker.objects) == stored


def _assert_told(workers: list[Worker], events: list[Event]) -> None:
    told, known = tokens(events), {k: v for w in workers for k, v in w.told.items()}
    assert {token for token, is_sure in known.items() if is_sure} <= set(told) <= set(known)
    assert not [token for token, times in told.items() if times != 1]
    committed = Counter(
        (one.table_name, one.data["snapshot_id"])
        for one in events
        if one.type == "snapshot.committed"
    )
    wanted = Counter(
        {
            (name, made): times
            for worker in workers
            for name, table in worker.tables.items()
            for made, times in table.moves.items()
            if times
        }
    )
    assert wanted == {k: n for k, n in committed.items() if k[0] != "shared"}


def _assert_linear(world: World) -> None:
    """The table that all wrote to has what they made, each after the one that it was to follow."""
    found = list(world.judge.list_snapshots("shared")) if world.shared else []
    assert world.shared == {one.snapshot_id: one.parent_id or "none" for one in found}
    assert [one.seq for one in found] == list(range(len(found), 0, -1))


@pytest.mark.timeout(1800)
def test_every_operation_ends_as_documented_and_the_registry_as_modelled(
    new_server: Callable[[], DatlakeServer], tmp_path: Path, *, whole: bool
):
    count = (1000 if whole else 120) // _WORKERS
    server, faults = new_server(), Faults(_SEED, 0.2)
    with CountingProxy(server.base_url) as proxy:
        world = World(server, proxy, is_whole=whole)
        workers = [Worker(f"w{n}", world, _SEED + n, tmp_path) for n in range(_WORKERS)]
        follower = _Follower(world.patient)
        proxy.hook = faults
        follower.start()
        shifts = [_Shift(one, count) for one in workers]
        for shift in shifts:
            shift.start()
        kills = _killed(world, shifts, *((4, 1000) if whole else (3, 2)))
        for shift in shifts:
            if shift.error is not None:
                raise shift.error
        proxy.hook = lambda _: None
        world.judge.publish("end")
        follower.join(60)
        requests = len(proxy.requests)

    for worker in workers:
        _assert_as_modelled(world, worker, tmp_path)
    _assert_linear(world)
    names = {one.name for w in workers for one in w.tables.values() if one.made}
    names |= {"shared"} if world.shared else set()
    assert names == {one.name for one in world.judge.get_tables()}
    events = _all_events(world.judge)
    assert [one.seq for one in events] == list(range(1, len(events) + 1))
    assert events == follower.seen
    _assert_told(workers, events)
    assert kills >= 1
    _log.info("%d requests, %d kills, %s, %s", requests, kills, faults.counts, world.done)


def _all_events(client: DatlakeClient) -> list[Event]:
    found = []
    for event in client.follow(since=0):
        found.append(event)
        if event.type == "custom.end":
            break
    return found

"""The registry: resolving a name against doing nothing, and with very many tables."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from benchmarks.harness import Contender, python
from benchmarks.registries import SNAPSHOTS_EACH, empty_route, serving
from benchmarks.report import Column, Table, Target, ratio, spread
from tests.servers.postgres import PostgreSQL

if TYPE_CHECKING:
    from benchmarks.registries import Registry
    from benchmarks.world import World

CONNECTIONS = 64
FEW_TABLES = 100
EMPTY = "an empty FastAPI route"
LATEST = "/api/v1/tables/t5/snapshots/latest"
DATABASES = ("SQLite", "PostgreSQL")
_RATE = Column("answers in a second", lambda each: each.median("rate"))
_MEDIAN = Column("median, ms", lambda each: each.median("median_ms"))
_P99 = Column("99th percentile, ms", lambda each: each.median("p99_ms"))


def measure(world: World) -> list[Table]:
    many = 100 * world.scale.small_count
    with ExitStack() as stack:
        (world.folder / "postgres").mkdir()
        postgres = PostgreSQL.start(world.folder / "postgres")
        stack.callback(postgres.stop)
        empty = stack.enter_context(empty_route(world.folder / "empty", world.environment))
        found: dict[tuple[str, int], Registry] = {}
        for database in DATABASES:
            for tables in (FEW_TABLES, many):
                url = postgres.database() if database == "PostgreSQL" else None
                folder = world.folder / f"{database}-{tables}"
                one = serving(folder, world.environment, tables, url)
                found[database, tables] = stack.enter_context(one)
        return [_throughput(world, empty, found), _growth(world, many, found)]


def _throughput(world: World, empty: int, found: dict[tuple[str, int], Registry]) -> Table:
    seconds = world.scale.slow_runs
    contenders = [Contender(EMPTY, lambda _: python("http_load", empty, CONNECTIONS, seconds, "/"))]
    for database in DATABASES:
        one = found[database, FEW_TABLES]
        command = _asks(one.port, CONNECTIONS, seconds, LATEST, one.admin)
        known = [*command, 'If-None-Match: "tab-5-10"']
        contenders.append(_always(f"latest snapshot, {database}", command))
        contenders.append(_always(f"latest snapshot, not modified, {database}", known))
    measured = world.measure(contenders, runs=world.scale.slow_runs)
    targets = []
    for database in DATABASES:
        latest = measured[f"latest snapshot, {database}"]
        of_empty = ratio(latest, measured[EMPTY], "rate")
        targets.append(Target(f"{database}, of the empty route", of_empty, "≥", 0.5))
        tail = latest.median("p99_ms") / latest.median("median_ms") if latest.samples else None
        targets.append(Target(f"{database}, 99th percentile of the median", tail, "≤", 5))
    return Table(
        "registry",
        "A registry under load",
        [_RATE, _MEDIAN, _P99, spread("rate")],
        measured,
        targets,
        f"{CONNECTIONS} connections, each of which asks again as soon as it is answered. One "
        "process serves; the one that asks, and PostgreSQL, have the same processors. The empty "
        "route is a `def` that returns `{}`, served by the same uvicorn.",
    )


def _growth(world: World, many: int, found: dict[tuple[str, int], Registry]) -> Table:
    contenders = []
    for (database, tables), one in found.items():
        for what, path, key in (
            ("latest", LATEST.replace("t5", f"t{tables // 2}"), one.admin),
            ("list", "/api/v1/tables", one.admin),
            ("list of a reader", "/api/v1/tables", one.reader),
        ):
            command = _asks(one.port, 1, 1, path, key)
            name = f"{what}, {tables:,} tables, {database}"
            contenders.append(_always(name, command))
    measured = world.measure(contenders, runs=world.scale.slow_runs)
    targets = [
        Target(
            f"{what}, {database}",
            ratio(
                measured[f"{what}, {many:,} tables, {database}"],
                measured[f"{what}, {FEW_TABLES} tables, {database}"],
                "median_ms",
            ),
            "≤",
            1.5,
        )
        for database in DATABASES
        for what in ("latest", "list", "list of a reader")
    ]
    return Table(
        "registry-growth",
        "A registry of many tables",
        [_MEDIAN, _P99, spread("median_ms")],
        measured,
        targets,
        f"Each table has {SNAPSHOTS_EACH} snapshots: {many * SNAPSHOTS_EACH:,} in the larger "
        "registry. One connection; a list is its first hundred. The reader may see ten tables.",
    )


def _always(name: str, command: list[str]) -> Contender:
    return Contender(name, lambda _: command)


def _asks(port: int, connections: int, seconds: int, path: str, key: str) -> list[str]:
    header = f"Authorization: Bearer {key}"
    return python("http_load", port, connections, seconds, path, header)

"""Fetching what is cached already: what asking the store costs, and what not asking costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.harness import Contender, python, run_once
from benchmarks.report import Column, Table, Target, median, ratio, spread
from tests.servers.counting import CountingProxy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.world import Objects, World

ASKING = "fetch, revalidated every time"
NOT_ASKING = "fetch, not revalidated"
HEAD = "one bare HEAD by obstore"
CONDITIONAL = "one bare GET by obstore, not modified"
_COUNTED_CALLS = 20


def measure(world: World) -> list[Table]:
    objects = world.upload_many(1)
    measurements = world.measure(_contenders(objects, world.scale.calls), runs=world.scale.runs + 2)
    head, asking, silent = (measurements[name] for name in (HEAD, ASKING, NOT_ASKING))
    found = [
        Target("revalidated, of one bare HEAD", ratio(asking, head, "median_us"), "≤", 1.3),
        Target("not revalidated", median(silent, "median_us"), "≤", 50, "µs"),
    ]
    if asking.samples and silent.samples:
        requests = _requests_per_fetch(world, objects, "always")
        found.append(Target("revalidated", requests, "≤", 1, "requests"))
        requests = _requests_per_fetch(world, objects, "never")
        found.append(Target("not revalidated", requests, "≤", 0, "requests"))
    world.drop(objects.bucket)
    return [
        Table(
            "warm",
            "A warm fetch, in a running process",
            [Column("µs for one call", lambda each: each.median("median_us")), spread("median_us")],
            measurements,
            found,
            f"The median of {world.scale.calls} calls in each run. Requests are counted by a proxy "
            "in another run, which is not timed.",
        )
    ]


def _contenders(objects: Objects, calls: int) -> list[Contender]:
    def bare(request: str) -> Callable[[Path], list[str]]:
        return lambda _: python("obstore_ask", request, objects.bucket, objects.keys[0], calls)

    return [
        Contender(ASKING, _fetches(objects, "always", calls)),
        Contender(HEAD, bare("head")),
        Contender(CONDITIONAL, bare("get-unless")),
        Contender(NOT_ASKING, _fetches(objects, "never", calls)),
    ]


def _fetches(objects: Objects, freshness: str, calls: int) -> Callable[[Path], list[str]]:
    return lambda out: python(
        "catalog_warm", objects.bucket, objects.keys[0], out, freshness, calls
    )


def _requests_per_fetch(world: World, objects: Objects, freshness: str) -> float:
    def requests_of(calls: int) -> int:
        out = world.folder / f"counted-{freshness}-{calls}"
        with CountingProxy(world.server.endpoint) as proxy:
            variables = world.server.environment(endpoint=proxy.endpoint)
            command = _fetches(objects, freshness, calls)(out)
            run_once(command, world.environment | variables, out)
            return len(proxy.requests)

    return (requests_of(_COUNTED_CALLS) - requests_of(0)) / _COUNTED_CALLS

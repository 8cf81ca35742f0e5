"""What a registry has told already: what asking it again costs, and what not asking costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.harness import Contender, python
from benchmarks.registries import serving
from benchmarks.report import Column, Table, Target, median, spread

if TYPE_CHECKING:
    from benchmarks.registries import Registry
    from benchmarks.world import World

BY_ID = "a snapshot by its id"
HELD = "the latest, within latest_ttl_s"
REVALIDATED = "the latest, revalidated every time"


def measure(world: World) -> list[Table]:
    with serving(world.folder / "metadata", world.environment, 10, None) as one:
        calls = world.scale.calls
        contenders = [
            _asking(BY_ID, one, "id", calls),
            _asking(HELD, one, "held", calls),
            _asking(REVALIDATED, one, "latest", calls),
        ]
        measured = world.measure(contenders, runs=world.scale.runs)
    return [
        Table(
            "metadata",
            "A registry's answers that are held",
            [Column("µs for one call", lambda each: each.median("median_us")), spread("median_us")],
            measured,
            [Target(BY_ID, median(measured[BY_ID], "median_us"), "≤", 200, "µs")],
            f"The median of {calls} calls of a `DatlakeClient` in each run, on SQLite. The server "
            "has the same processors.",
        )
    ]


def _asking(name: str, one: Registry, question: str, calls: int) -> Contender:
    return Contender(
        name, lambda out: python("datlake_warm", one.port, one.admin, out, question, calls)
    )

"""What ten times the objects, or ten times the bytes, cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import peers
from benchmarks.harness import Contender
from benchmarks.report import CPU_S, PEAK_MIB, SPREAD, TIME_S, Table, Target, ratio

if TYPE_CHECKING:
    from benchmarks.world import Objects, World


def measure(world: World) -> list[Table]:
    count, mib = world.scale.growth_count, world.scale.growth_mib
    return [
        _compare(
            world,
            "growth-objects",
            f"Growth: {count} datasets and {10 * count:,}, cold",
            {
                f"{count} datasets": world.upload_many(count),
                f"{10 * count:,} datasets": world.upload_many(10 * count),
            },
        ),
        _compare(
            world,
            "growth-bytes",
            f"Growth: {mib} MiB and {10 * mib} MiB, cold",
            {f"{mib} MiB": world.upload_one(mib), f"{10 * mib} MiB": world.upload_one(10 * mib)},
        ),
    ]


def _compare(world: World, name: str, title: str, sizes: dict[str, Objects]) -> Table:
    measurements = world.measure(
        [_named(label, objects) for label, objects in sizes.items()], runs=world.scale.slow_runs
    )
    for objects in sizes.values():
        world.drop(objects.bucket)
    small, large = measurements.values()
    more_time, more_memory = ratio(large, small, "work_s"), ratio(large, small, "peak_mib")
    return Table(
        name,
        title,
        [TIME_S, CPU_S, PEAK_MIB, SPREAD],
        measurements,
        [
            Target("time for ten times as much", more_time, "≤", 11),
            Target("peak memory for ten times as much", more_memory, "≤", 1.25),
        ],
    )


def _named(label: str, objects: Objects) -> Contender:
    ours = peers.catalog_fetch(objects)
    return Contender(label, ours.command, settle=ours.settle)

"""A thousand small datasets, cold: `fetch_all`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import peers
from benchmarks.report import CPU_S, PEAK_MIB, PROCESS_S, SPREAD, TIME_S, Table, Target, rate, ratio

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.harness import Contender, Measurement
    from benchmarks.world import Objects, World

US = peers.DATACACHALOG
BY_WILDCARD = "s5cmd cp, by wildcard"
BY_NAME = "s5cmd run, by name"
THREADED = f"boto3 download_file, {peers.THREADS} threads"
SEQUENTIAL = "boto3 download_file, in sequence"


def measure(world: World) -> list[Table]:
    count = world.scale.small_count
    objects = world.upload_many(count)
    measurements = world.measure(_contenders(world, objects), runs=world.scale.slow_runs)
    world.drop(objects.bucket)
    return [
        Table(
            "many-objects",
            f"{count:,} datasets of {world.scale.small_kib} KiB by `fetch_all`, cold",
            [rate("objects/s", count), TIME_S, PROCESS_S, CPU_S, PEAK_MIB, SPREAD],
            measurements,
            _targets(measurements),
        )
    ]


def _contenders(world: World, objects: Objects) -> list[Contender]:
    prefix = f"{objects.bucket}/small"
    script = world.folder / "s5cmd.run"

    def copy_all_by_s5cmd(out: Path) -> list[str]:
        return ["cp", f"s3://{prefix}/*", f"{out}/"]

    def copy_each_by_s5cmd(out: Path) -> list[str]:
        lines = [f"cp s3://{objects.bucket}/{key} {out}/\n" for key in objects.keys]
        script.write_text("".join(lines))
        return ["run", str(script)]

    def copy_by_rclone(out: Path) -> list[str]:
        transfers = ["--transfers", "32", "--use-server-modtime"]
        return ["copy", f"lake:{prefix}", str(out), *transfers]

    return [
        peers.catalog_fetch(objects),
        peers.s5cmd(world, BY_WILDCARD, copy_all_by_s5cmd, objects),
        peers.s5cmd(world, BY_NAME, copy_each_by_s5cmd, objects),
        peers.rclone(world, copy_by_rclone, objects),
        peers.library(f"obstore, {peers.THREADS} threads", "obstore_get", objects, needs="obstore"),
        peers.s3fs(objects),
        peers.library(THREADED, "boto3_download", objects, needs="boto3"),
        peers.library(SEQUENTIAL, "boto3_download", objects, needs="boto3", workers=1),
        peers.library("cloudpathlib", "cloudpathlib_download", objects, needs="cloudpathlib"),
    ]


def _targets(measurements: Mapping[str, Measurement]) -> list[Target]:
    ours = measurements[US]

    def times_as_fast(name: str, quantity: str = "work_s") -> float | None:
        return ratio(measurements[name], ours, quantity)

    return [
        Target(f"rate, of {BY_NAME}", times_as_fast(BY_NAME), "≥", 0.7),
        Target("the same, of whole processes", times_as_fast(BY_NAME, "wall_s"), "≥", 0.7),
        Target(f"rate, of {BY_WILDCARD}", times_as_fast(BY_WILDCARD), "≥", 0.7),
        Target("the same, of whole processes", times_as_fast(BY_WILDCARD, "wall_s"), "≥", 0.7),
        Target(f"rate, of {SEQUENTIAL}", times_as_fast(SEQUENTIAL), "≥", 10),
        Target(f"rate, of {THREADED}", times_as_fast(THREADED), "≥", 10),
        Target("rate, of cloudpathlib", times_as_fast("cloudpathlib"), "≥", 20),
    ]

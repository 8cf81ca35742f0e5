"""One big object, cold: from the store to a file on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import peers
from benchmarks.report import (
    CPU_S,
    PEAK_MIB,
    PROCESS_S,
    SPREAD,
    TIME_S,
    Table,
    Target,
    median,
    rate,
    ratio,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.harness import Contender, Measurement
    from benchmarks.world import Objects, World

US = peers.DATACACHALOG


def measure(world: World) -> list[Table]:
    objects = world.upload_one(world.scale.big_mib)
    measurements = world.measure(_contenders(world, objects))
    world.drop(objects.bucket)
    return [
        Table(
            "big-object",
            f"One object of {world.scale.big_mib} MiB, cold",
            [rate("MiB/s", world.scale.big_mib), TIME_S, PROCESS_S, CPU_S, PEAK_MIB, SPREAD],
            measurements,
            _targets(measurements),
        )
    ]


def _contenders(world: World, objects: Objects) -> list[Contender]:
    (key,) = objects.keys
    address = f"{objects.bucket}/{key}"

    def copy_by_s5cmd(out: Path) -> list[str]:
        return ["cp", f"s3://{address}", f"{out}/"]

    def copy_by_rclone(out: Path) -> list[str]:
        return ["copy", f"lake:{address}", str(out), "--multi-thread-cutoff", "64M"]

    def copy_by_aws(out: Path) -> list[str]:
        return ["s3", "cp", f"s3://{address}", f"{out}/", "--no-progress"]

    return [
        peers.catalog_fetch(objects),
        peers.s5cmd(world, "s5cmd", copy_by_s5cmd, objects),
        peers.rclone(world, copy_by_rclone, objects),
        peers.library(
            "obstore, 4 ranges at once", "obstore_ranges", objects, needs="obstore", workers=4
        ),
        peers.library("obstore, 1 stream", "obstore_get", objects, needs="obstore"),
        peers.library("boto3", "boto3_download", objects, needs="boto3", workers=1),
        peers.library("awscrt", "awscrt_get", objects, needs="awscrt"),
        peers.library("cloudpathlib", "cloudpathlib_download", objects, needs="cloudpathlib"),
        peers.s3fs(objects),
        peers.awscli("aws s3 cp", copy_by_aws, objects),
    ]


def _targets(measurements: Mapping[str, Measurement]) -> list[Target]:
    ours, s5cmd, boto3 = measurements[US], measurements["s5cmd"], measurements["boto3"]
    return [
        Target("throughput, of s5cmd's", ratio(s5cmd, ours, "work_s"), "≥", 1.0),
        Target("the same, of whole processes", ratio(s5cmd, ours, "wall_s"), "≥", 1.0),
        Target("CPU, of boto3's", ratio(ours, boto3, "work_cpu_s"), "≤", 0.6),
        Target("peak memory", median(ours, "peak_mib"), "≤", 150, "MiB"),
    ]

"""One big file, from disk to the store."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from benchmarks import peers
from benchmarks.harness import Contender, ContenderFailedError, python
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
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.world import World

US = peers.DATACACHALOG
BOTO3 = "boto3 upload_file"


def measure(world: World) -> list[Table]:
    mib = world.scale.big_mib
    bucket = world.server.bucket()
    file = world.new_file("pushed.bin", mib)
    measurements = world.measure(_contenders(world, file, bucket), runs=world.scale.slow_runs)
    file.unlink()
    world.drop(bucket)
    ours, boto3 = measurements[US], measurements[BOTO3]
    return [
        Table(
            "push",
            f"Push of {mib} MiB",
            [rate("MiB/s", mib), TIME_S, PROCESS_S, CPU_S, PEAK_MIB, SPREAD],
            measurements,
            [
                Target(f"throughput, of {BOTO3}'s", ratio(boto3, ours, "work_s"), "≥", 1.0),
                Target("peak memory", median(ours, "peak_mib"), "≤", 150, "MiB"),
            ],
            "The catalog creates the object only where there is none, and keeps a copy in its "
            "cache; the others upload, no matter what is there. Its trial of the server, which the "
            "first push of a day to a bucket makes, takes another second and is not in the time.",
        )
    ]


def _contenders(world: World, file: Path, bucket: str) -> list[Contender]:
    keys = (f"pushed-{number}.bin" for number in itertools.count())
    client = world.server.client()
    size = file.stat().st_size

    def contender(name: str, command: Callable[[str, Path], list[str]], missing: str = ""):
        used: list[str] = []

        def with_new_key(out: Path) -> list[str]:
            used.append(next(keys))
            return command(used[-1], out)

        def settle(_: Path) -> None:
            found = client.head_object(Bucket=bucket, Key=used[-1])["ContentLength"]
            client.delete_object(Bucket=bucket, Key=used[-1])
            if found != size:
                raise ContenderFailedError(f"left an object of {found} bytes")

        environment = {"S3_ENDPOINT_URL": world.server.endpoint}
        return Contender(name, with_new_key, environment, settle, missing)

    s5cmd = peers.s5cmd_program()
    return [
        contender(US, lambda key, out: python("catalog_push", file, bucket, key, out)),
        contender(BOTO3, lambda key, _: python("boto3_upload", file, bucket, key)),
        contender("obstore", lambda key, _: python("obstore_put", file, bucket, key)),
        contender(
            "s5cmd",
            lambda key, _: [str(s5cmd), "--log", "error", "cp", str(file), f"s3://{bucket}/{key}"],
            "" if s5cmd else peers.NOT_INSTALLED,
        ),
    ]

"""The whole command for one small object: the catalog's is warm and asks, the others copy."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import peers
from benchmarks.harness import Contender
from benchmarks.report import CPU_S, PEAK_MIB, SPREAD, Column, Table, Target, ratio

if TYPE_CHECKING:
    from benchmarks.world import Objects, World

US = "catalog fetch, warm"
AWS = "aws s3 cp"


def measure(world: World) -> list[Table]:
    objects = world.upload_many(1)
    measurements = world.measure(_contenders(world, objects), runs=2 * world.scale.runs + 1)
    world.drop(objects.bucket)
    return [
        Table(
            "command",
            f"A command for one object of {world.scale.small_kib} KiB",
            [Column("ms", lambda each: 1000 * each.median("wall_s")), CPU_S, PEAK_MIB, SPREAD],
            measurements,
            [
                Target(
                    f"time, of {AWS}'s",
                    ratio(measurements[US], measurements[AWS], "wall_s"),
                    "≤",
                    0.5,
                )
            ],
        )
    ]


def _contenders(world: World, objects: Objects) -> list[Contender]:
    address = f"{objects.bucket}/{objects.keys[0]}"

    def copy(out: Path) -> list[str]:
        return ["cp", f"s3://{address}", f"{out}/"]

    return [
        _catalog(world, address),
        peers.awscli(AWS, lambda out: ["s3", *copy(out), "--no-progress"], objects),
        peers.s5cmd(world, "s5cmd cp", copy, objects),
        peers.rclone(world, lambda out: ["copy", f"lake:{address}", str(out)], objects),
    ]


def _catalog(world: World, address: str) -> Contender:
    project = world.folder / "project"
    project.mkdir()
    (project / "catalog.yaml").write_text(
        f"version: 1\ndatasets:\n  small:\n    source: s3://{address}\n"
    )
    program = Path(sysconfig.get_path("scripts")) / "catalog"
    return Contender(
        US,
        lambda _: [sys.executable, str(program), "fetch", "small"],
        {
            "DATACACHALOG_CATALOG": str(project / "catalog.yaml"),
            "DATACACHALOG_CACHE_DIR": str(world.folder / "project-cache"),
        },
        missing="" if program.exists() else peers.NOT_INSTALLED,
    )

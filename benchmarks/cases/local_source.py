"""A file of this machine as a source: copied into the cache."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from benchmarks import peers
from benchmarks.harness import Contender, python
from benchmarks.report import CPU_S, PEAK_MIB, PROCESS_S, SPREAD, TIME_S, Table, Target, rate, ratio
from benchmarks.world import Objects, Verified, digest_of

if TYPE_CHECKING:
    from benchmarks.world import World

US = peers.DATACACHALOG
CP = "cp --reflink=auto"


def measure(world: World) -> list[Table]:
    mib = world.scale.big_mib
    file = world.new_file("local.bin", mib)
    cp = shutil.which("cp")
    expected = Objects("", (file.name,), file, digest_of([file]), mib * 2**20)
    measurements = world.measure(
        [
            Contender(
                US, lambda out: python("catalog_fetch_local", file, out), settle=Verified(expected)
            ),
            Contender(
                CP,
                lambda out: [str(cp), "--reflink=auto", str(file), str(out)],
                settle=Verified(expected),
                missing="" if cp else peers.NOT_INSTALLED,
            ),
        ]
    )
    file.unlink()
    return [
        Table(
            "local-source",
            f"A local file of {mib} MiB, cold",
            [rate("MiB/s", mib), TIME_S, PROCESS_S, CPU_S, PEAK_MIB, SPREAD],
            measurements,
            [
                Target(
                    f"throughput, of {CP}'s",
                    ratio(measurements[CP], measurements[US], "work_s"),
                    "≥",
                    0.9,
                )
            ],
        )
    ]

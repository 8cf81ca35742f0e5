"""What `import datacachalog` adds to the interpreter's own start."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from benchmarks import peers
from benchmarks.harness import Contender
from benchmarks.report import PEAK_MIB, SPREAD, Column, Table, Target

if TYPE_CHECKING:
    from benchmarks.harness import Measurement
    from benchmarks.world import World

BARE = "the bare interpreter"
US = "import datacachalog"
_STATEMENTS = (
    (BARE, "pass", "sys"),
    (US, "import datacachalog", "datacachalog"),
    (
        "datacachalog, and a catalog",
        "from datacachalog import Catalog; Catalog([])",
        "datacachalog",
    ),
    ("import obstore", "import obstore", "obstore"),
    ("import boto3", "import boto3", "boto3"),
    ("boto3, and a client", "import boto3; boto3.client('s3')", "boto3"),
    ("import cloudpathlib", "import cloudpathlib", "cloudpathlib"),
)


def measure(world: World) -> list[Table]:
    measurements = world.measure(
        [_contender(*each) for each in _STATEMENTS], runs=4 * world.scale.runs + 1
    )
    bare_s = measurements[BARE].median("wall_s")

    def above_ms(measurement: Measurement) -> float:
        return 1000 * (measurement.median("wall_s") - bare_s)

    return [
        Table(
            "imports",
            "Imports",
            [
                Column("process, ms", lambda each: 1000 * each.median("wall_s")),
                Column("above the interpreter, ms", above_ms),
                PEAK_MIB,
                SPREAD,
            ],
            measurements,
            [Target("above the interpreter", above_ms(measurements[US]), "≤", 60, "ms")],
        )
    ]


def _contender(name: str, statement: str, needs: str) -> Contender:
    return Contender(
        name,
        lambda _: [sys.executable, "-c", statement],
        missing="" if find_spec(needs) else peers.NOT_INSTALLED,
    )

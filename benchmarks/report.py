"""Measurements as tables, for people and for programs."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from benchmarks.peers import versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from benchmarks.harness import Measurement
    from benchmarks.world import Scale

_LEGEND = """\
Every number is the median of interleaved runs (A B C, B C A, …) against one SeaweedFS on loopback,
each run in a fresh process with fresh destination files on the server's own disk. The first round
is not counted; in it the fetched bytes are compared with those that were stored.

*time* is what ratios are made of: for a library the work in a running process, after its imports
and, for the peers, after their client was made; for a command the whole command. *process* is the
whole process in either case, and *CPU* and *peak memory* are of the whole process. Where *slowest /
fastest* is far above 1, something else kept the machine busy, and ratios mean little."""


@dataclass(frozen=True)
class Target:
    """A promise about a number, which is None where one of its parts could not be measured."""

    promise: str
    measured: float | None
    sign: Literal["≥", "≤"]
    limit: float
    unit: str = "x"

    @property
    def met(self) -> bool | None:
        if self.measured is None:
            return None
        return self.measured >= self.limit if self.sign == "≥" else self.measured <= self.limit

    def cells(self) -> list[str]:
        wanted = f"{self.sign} {self.limit:g} {self.unit}"
        if self.measured is None:
            return [self.promise, "not measured", wanted, ""]
        measured = f"{_number(self.measured)} {self.unit}"
        return [self.promise, measured, wanted, "yes" if self.met else "**no**"]


@dataclass(frozen=True)
class Column:
    """A heading, and the number below it."""

    heading: str
    value: Callable[[Measurement], float]


@dataclass
class Table:
    """The outcome of one benchmark."""

    name: str
    title: str
    columns: list[Column]
    measurements: Mapping[str, Measurement]
    targets: list[Target] = field(default_factory=list)
    note: str = ""

    def markdown(self) -> str:
        parts = [f"## {self.title}"]
        if self.note:
            parts.append(self.note)
        headings = ["", *(column.heading for column in self.columns)]
        parts.append(_table(headings, [self._row(each) for each in self.measurements.values()]))
        if self.targets:
            headings = ["target", "measured", "wanted", "met"]
            parts.append(_table(headings, [target.cells() for target in self.targets]))
        return "\n\n".join(parts)

    def data(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "title": self.title,
            "measurements": [asdict(each) for each in self.measurements.values()],
            "targets": [asdict(each) | {"met": each.met} for each in self.targets],
        }

    def _row(self, measurement: Measurement) -> list[str]:
        if not measurement.samples:
            return [measurement.name, measurement.problem, *[""] * (len(self.columns) - 1)]
        numbers = [_number(column.value(measurement)) for column in self.columns]
        return [measurement.name, *numbers]


TIME_S = Column("time, s", lambda each: each.median("work_s"))
PROCESS_S = Column("process, s", lambda each: each.median("wall_s"))
CPU_S = Column("CPU, s", lambda each: each.median("cpu_s"))
PEAK_MIB = Column("peak memory, MiB", lambda each: each.median("peak_mib"))


def spread(quantity: str) -> Column:
    """How far apart the runs are: near 1 where nothing else kept the machine busy."""

    def slowest_over_fastest(measurement: Measurement) -> float:
        values = measurement.all(quantity)
        return max(values) / min(values)

    return Column("slowest / fastest", slowest_over_fastest)


SPREAD = spread("work_s")


def rate(heading: str, amount: float) -> Column:
    """How much of `amount` is done in a second."""
    return Column(heading, lambda each: amount / each.median("work_s"))


def ratio(above: Measurement, below: Measurement, quantity: str) -> float | None:
    """One contender's number over another's; None where one of them has none."""
    if not above.samples or not below.samples:
        return None
    return above.median(quantity) / below.median(quantity)


def median(measurement: Measurement, quantity: str) -> float | None:
    """A contender's number; None where it has none."""
    return measurement.median(quantity) if measurement.samples else None


def circumstances(scale: Scale) -> dict[str, Any]:
    """What else has a say in the numbers."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} CPUs, {_processor()}",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "scale": asdict(scale),
        "versions": versions(),
    }


def document(tables: Iterable[Table], facts: Mapping[str, Any]) -> str:
    """The whole report."""
    tools = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    head = (
        f"# Benchmarks\n\n{_LEGEND}\n\n"
        f"{facts['date']}, {facts['machine']}, {facts['system']}, Python {facts['python']}; "
        f"at least {facts['scale']['slow_runs']} runs of each. {tools}."
    )
    return "\n\n".join([head, *(table.markdown() for table in tables)]) + "\n"


def _table(headings: list[str], rows: list[list[str]]) -> str:
    lines = [headings, ["---"] + ["---:"] * (len(headings) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}" if value < 1 else f"{value:.2f}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()

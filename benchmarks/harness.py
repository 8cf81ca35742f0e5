"""Fresh processes, taken in turns, measured from outside."""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent
_LAUNCHER = Path(__file__).with_name("launcher.py")
_TIMEOUT_S = 600


class ContenderFailedError(RuntimeError):
    """A measured command failed, or left something else than it should have."""


@dataclass(frozen=True)
class Sample:
    """One run. `work_s` and `work_cpu_s` leave out the imports where a program reports them."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    work_s: float
    work_cpu_s: float
    said: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Contender:
    """A tool and its command, which leaves its files in the new folder that it is given.

    `settle` runs after every run, outside the measured time. `missing` says why it cannot run.
    """

    name: str
    command: Callable[[Path], list[str]]
    environment: Mapping[str, str] = field(default_factory=dict)
    settle: Callable[[Path], None] = lambda _: None
    missing: str = ""


@dataclass
class Measurement:
    """All counted runs of one contender, or why there are none."""

    name: str
    samples: list[Sample] = field(default_factory=list)
    problem: str = ""

    def all(self, quantity: str) -> list[float]:
        """An attribute of every sample, or something that they said."""
        return [
            sample.said[quantity] if quantity in sample.said else getattr(sample, quantity)
            for sample in self.samples
        ]

    def median(self, quantity: str) -> float:
        """The median of what `all` gives."""
        return statistics.median(self.all(quantity))


def python(program: str, *arguments: object) -> list[str]:
    """The command of one of `benchmarks.programs`."""
    return [sys.executable, "-m", f"benchmarks.programs.{program}", *map(str, arguments)]


def run_once(command: list[str], environment: Mapping[str, str], folder: Path) -> Sample:
    """Runs a command in a process of its own.

    Raises:
        ContenderFailedError: it ended with an error.
    """
    report = folder.with_suffix(".cost")
    launcher = [sys.executable, "-IS", str(_LAUNCHER), str(report)]
    output, errors = _run_alone([*launcher, *command], environment)
    cost = json.loads(report.read_text())
    report.unlink()
    if cost["exit_code"]:
        lines = errors.strip().splitlines() or [f"exit code {cost['exit_code']}"]
        raise ContenderFailedError(lines[-1])
    said = _last_json(output)
    return Sample(
        wall_s=cost["wall_s"],
        cpu_s=cost["cpu_s"],
        peak_mib=cost["peak_bytes"] / 2**20,
        work_s=said.get("work_s", cost["wall_s"]),
        work_cpu_s=said.get("work_cpu_s", cost["cpu_s"]),
        said=said,
    )


def take_turns(
    contenders: Sequence[Contender],
    *,
    runs: int,
    environment: Mapping[str, str],
    folder: Path,
) -> dict[str, Measurement]:
    """Runs all contenders once without counting, then `runs` times each: A B C, B C A, C A B, …

    Each begins a turn once, and follows different ones: what one leaves behind, such as memory
    that the system has to clear, is not always paid for by the same other one.
    """
    results = {each.name: Measurement(each.name, problem=each.missing) for each in contenders}
    for turn in range(runs + 1):
        first = turn % len(contenders)
        for contender in (*contenders[first:], *contenders[:first]):
            result = results[contender.name]
            if result.problem:
                continue
            try:
                sample = _one_turn(contender, environment, folder)
            except ContenderFailedError as error:
                result.samples, result.problem = [], f"failed: {error}"
                continue
            if turn:
                result.samples.append(sample)
        print(".", end="", flush=True, file=sys.stderr)
    print(file=sys.stderr)
    return results


def _one_turn(contender: Contender, environment: Mapping[str, str], folder: Path) -> Sample:
    out = folder / "out"
    out.mkdir()
    try:
        command = contender.command(out)
        sample = run_once(command, {**environment, **contender.environment}, out)
        contender.settle(out)
    finally:
        _put_away(out)
    return sample


def _put_away(out: Path) -> None:
    """Removes what a run left, or keeps it aside until the end where that is thousands of files.

    ext4 does not give out the inodes of deleted files for some seconds, and passes over each of
    them whenever a file is made: the next contender would pay for every file of this one.
    """
    if sum(len(files) for _, _, files in os.walk(out)) < 50:
        shutil.rmtree(out)
    else:
        out.rename(out.with_name(f"done-{os.urandom(6).hex()}"))


def _run_alone(command: list[str], environment: Mapping[str, str]) -> tuple[str, str]:
    """Output and errors of a command that succeeds; it and its children never outlive this."""
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise ContenderFailedError(f"took longer than {_TIMEOUT_S} s") from None
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise RuntimeError(f"the launcher failed: {errors}")
    return output, errors


def _last_json(output: str) -> dict[str, float]:
    lines = output.strip().splitlines()
    if not lines or not lines[-1].startswith("{"):
        return {}
    said: dict[str, float] = json.loads(lines[-1])
    return said

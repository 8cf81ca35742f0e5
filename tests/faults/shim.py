"""Programs whose file system fails where a test wants it to, by `shim.c`."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Self

import pytest

_HERE = Path(__file__).parent


class Kind(IntEnum):
    """What is done at a position; the numbers are those of `shim.c`."""

    NONE = 0
    KILL = 1
    TORN = 2
    FAIL = 3
    FAIL_FROM = 4
    SHORT = 5
    NO_FLOCK = 6
    RENAME_LIES = 7
    SLOW_READS = 8


@dataclass(frozen=True)
class Fault:
    """One fault: at the `position`th call of those below `root`, of `operation` alone if given."""

    root: str
    kind: Kind = Kind.NONE
    position: int = 0
    error_number: int = 0
    operation: str = ""


@dataclass(frozen=True)
class Ended:
    """How a program with a fault ended.

    `signal` is what killed it, or 0. `told` is what it answered, `calls` the calls that were
    counted, such as "rename /cache/refs/x.json".
    """

    signal: int
    told: dict[str, Any]
    calls: list[str]

    @property
    def operations(self) -> list[str]:
        """What was done, without the names."""
        return [call.partition(" ")[0] for call in self.calls]


@functools.cache
def built() -> Path:
    """The shim; the test is skipped where it cannot be had."""
    if sys.platform != "linux":
        pytest.skip("the shim stands before Linux's C library")
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler for the shim: install gcc and libc6-dev")
    folder = Path(tempfile.mkdtemp(prefix="datacachalog-shim-"))
    atexit.register(shutil.rmtree, folder)
    library = folder / "shim.so"
    command: list[str | Path] = [
        compiler,
        "-shared",
        "-fPIC",
        "-O1",
        "-Wall",
        "-o",
        library,
        _HERE / "shim.c",
    ]
    done = subprocess.run([*command, "-ldl"], capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    return library


def environment(fault: Fault | None = None) -> dict[str, str]:
    """The environment for a program behind the shim, armed from its start if there is a fault."""
    armed = {} if fault is None else {"FAULT_ROOT": fault.root, "FAULT_KIND": str(int(fault.kind))}
    return {**os.environ, "LD_PRELOAD": str(built()), **armed}


class Nursery:
    """A program behind the shim that forks a child for every job, so that each begins at once.

    Its children have imported everything and used nothing, as any new process; their environment
    is that of the test.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"],
            env=environment(),
            cwd=_HERE.parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, fault: Fault, work: str, **options: str) -> Ended:
        """Has a child do `work`, a function of `nursery`, with a fault."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job = {
            "fault": asdict(fault),
            "work": work,
            "options": options,
            "environ": dict(os.environ),
        }
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return Ended(**json.loads(self._process.stdout.readline()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # it ends with its input

"""Processes of the registry that die at once where a test wants it, as by `kill -9`.

Run as a program it forks one for every line of its input, so that each is there in an instant; it
has imported everything and used nothing. What a child does is what `datlake serve` and `datlake
worker` do. It dies at the nth thing that it does with its database: before a statement, before a
commit, or after one.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool

from datacachalog.server import serve
from datacachalog.server.settings import ServerSettings

if TYPE_CHECKING:
    from typing import Self

ROOT = Path(__file__).parents[3]


class Mortals:
    """Starts processes, and knows which of them live."""

    def __init__(self, settings: ServerSettings, log: Path) -> None:
        self._settings = settings.model_dump(mode="json")
        self._log = log.open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.registry.dying"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def start(self, what: str, dies_at: int = 0, **more: object) -> int:
        """Has a process `serve` or `work`, which dies at a position, or never; its id."""
        return self._told(start=what, dies_at=dies_at, settings=self._settings | more)

    def is_dead(self, pid: int) -> bool:
        """Whether it is; it may be asked for only until it was told so."""
        return bool(self._told(is_dead=pid))

    def _told(self, **order: object) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # it ends with its input, and its children with it
        self._log.close()


def _die_at(position: int) -> None:
    """Arms the process: the count begins with the first look at the tasks, or at a key."""
    numbers = count(1)
    is_counted = False

    def step(*args: Any) -> None:
        nonlocal is_counted
        if len(args) > 2 and not is_counted:
            is_counted = "FROM tasks" in args[2] or "FROM api_keys" in args[2]
        if is_counted and next(numbers) == position:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", step)
    event.listen(Engine, "commit", lambda *_: step())
    event.listen(Pool, "checkin", lambda *_: step())


def _do(order: dict[str, Any]) -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG: with its parent
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    if order["dies_at"]:
        _die_at(order["dies_at"])
    settings = ServerSettings(**order["settings"])
    {"serve": serve.serve, "work": serve.work}[order["start"]](settings)


def main() -> None:
    """Starts what it is told to, and says which have died, until its input ends."""
    for line in sys.stdin:
        order = json.loads(line)
        if "is_dead" in order:
            told, _ = os.waitpid(order["is_dead"], os.WNOHANG)
        elif (told := os.fork()) == 0:
            try:
                _do(order)
            finally:
                os._exit(1)
        sys.stdout.write(f"{told}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

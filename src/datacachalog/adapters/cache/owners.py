"""Whose an unfinished staging is, and whether anybody is still at it."""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path

_ABANDONED_S = 7 * 24 * 3600


@cache
def _machine() -> str:
    """This machine's name, when it was started, and the container that process ids here are of.

    Machines may have one name and share a cache: no two have been started under one id.
    """
    try:
        container = Path("/proc/self/ns/pid").stat().st_ino
        start = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    except OSError:
        container, start = 0, ""  # no Linux
    return f"{os.uname().nodename}.{container}.{start}"


def owned_name() -> str:
    """A new name that tells its process: what a killed one leaves can be told from live work."""
    return f"{_machine()}.{os.getpid()}.{os.urandom(6).hex()}"


def is_of_this_machine(name: str) -> bool:
    """Whether what has this name was made here, since this machine was started."""
    return _owner(name)[0] == _machine()


def _owner(name: str) -> tuple[str, str]:
    host, _, process = name.rpartition(".")[0].rpartition(".")
    return host, process


def owner_is_gone(name: str) -> bool:
    """Whether what has this name was left behind by a process of this machine that is dead."""
    host, process = _owner(name)
    if host != _machine() or not process.isdecimal():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def is_left_behind(path: Path) -> bool:
    """Whether nobody is at a staging any more: its process is dead, or has not written for a week.

    The second tells of those of other machines, and of this one before it was started anew.
    """
    if owner_is_gone(path.name):
        return True
    try:
        latest = max(one.lstat().st_mtime for one in (path, *path.glob("*")))
    except OSError:
        return False  # it has just gone
    return time.time() - latest > _ABANDONED_S

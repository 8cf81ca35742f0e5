"""Whose an unfinished staging is, and whether anybody is still at it."""

from __future__ import annotations

import os
import stat
import time
from functools import cache
from pathlib import Path

from datacachalog.adapters.journal import journals_in

_ABANDONED_S = 7 * 24 * 3600
_IDLE_S, _KEPT_S = 3600, 24 * 3600


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
    """Whose a name is: a machine's, and a process's on it. It may begin with all up to an `@`."""
    host, _, process = name.rpartition("@")[2].rpartition(".")[0].rpartition(".")
    return host, process


def disowned_name() -> str:
    """A new name that tells that nobody is at it."""
    return os.urandom(6).hex()


def owner_is_gone(name: str) -> bool:
    """Whether what has this name was disowned, or left by a dead process of this machine."""
    _, mark, owner = name.rpartition("@")
    if mark and "." not in owner:
        return True
    host, process = _owner(name)
    if host != _machine() or not process.isdecimal():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return _is_zombie(process)


def _is_zombie(process: str) -> bool:
    """Whether a process is dead, and only waits for its parent to hear of it (proc(5))."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(errors="replace")
    except OSError:  # no Linux; or it has just gone, which the next look will tell
        return False
    return status.rpartition(") ")[2][:1] in {"Z", "X"}


def is_left_behind(path: Path) -> bool:
    """Whether nobody is at a staging any more: its process is dead, or has not written for a week.

    The second tells of those of other machines, and of this one before it was started anew.
    """
    if owner_is_gone(path.name):
        return True
    try:
        inside = [] if path.is_symlink() else list(path.glob("*"))
        latest = max(one.lstat().st_mtime for one in (path, *inside))
    except OSError:
        return False  # it has just gone
    return time.time() - latest > _ABANDONED_S


def journal_to_resume(path: Path) -> os.stat_result | None:
    """The status of the journal of a download that its user may go on with; None if there is none.

    It is for a day, where its owner is gone. One of another machine, or of this one before it was
    started anew, is taken for gone when it has written nothing for an hour: connections that are
    silent for half a minute are given up.
    """
    try:
        if not stat.S_ISDIR(path.lstat().st_mode) or not (journals := journals_in(path)):
            return None
        status = journals[0].lstat()
    except OSError:
        return None
    idle_s = time.time() - status.st_mtime
    is_elsewhere = not is_of_this_machine(path.name)
    is_gone = owner_is_gone(path.name) or (is_elsewhere and idle_s > _IDLE_S)
    return status if is_gone and abs(idle_s) < _KEPT_S else None

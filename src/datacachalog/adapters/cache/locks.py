"""Holding others off for a while, across processes.

Only ever an optimisation: `flock` does nothing at all on some network file systems, and says so
on none of them. Lock files are never removed: unlinking one would let two holders hold two files
of the same name.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from datacachalog.adapters.disk import share_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from datetime import timedelta

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_BUSY = {errno.EAGAIN, errno.EACCES}
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.001, 0.05


def exclusive(
    path: str, wait: timedelta, *, prepare: Callable[[], None], shared: bool = False
) -> AbstractContextManager[bool]:
    """Holds the lock file at `path`; gives False where it could not be had within `wait`.

    `prepare` makes its folder, should that be missing. The group may hold a `shared` one too. Every
    call opens the file anew, so threads of one process hold each other off too.
    """
    return _held(lambda: _opened(path, prepare, shared=shared), wait)


def locked_folder(path: str, wait: timedelta) -> AbstractContextManager[bool]:
    """Holds a folder, as `exclusive` does a file."""

    def opened() -> int | None:
        try:
            return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return None

    return _held(opened, wait)


@contextmanager
def _held(opened: Callable[[], int | None], wait: timedelta) -> Iterator[bool]:
    fd = opened()
    if fd is None:
        yield False
        return
    try:
        yield acquired(fd, fcntl.LOCK_EX, wait)
    finally:
        # Not by closing alone: a process that was forked meanwhile has the file open too, and
        # would hold the lock for as long as it lives.
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_UN)
        with contextlib.suppress(OSError):  # nothing was written that could be lost
            os.close(fd)


def _opened(path: str, prepare: Callable[[], None], *, shared: bool) -> int | None:
    """A descriptor; None in a cache that may not be written, which has nobody to hold off."""
    try:
        try:
            fd = os.open(path, _FLAGS, 0o664)
        except FileNotFoundError:
            prepare()
            fd = os.open(path, _FLAGS, 0o664)
        if shared:
            share_file(fd)
    except OSError:
        return None
    return fd


def acquired(fd: int, kind: int, wait: timedelta) -> bool:
    """Whether an open file could be locked within `wait`; `kind` is `LOCK_EX` or `LOCK_SH`."""
    deadline, pause = time.monotonic() + wait.total_seconds(), _FIRST_PAUSE_S
    while True:
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _BUSY:
                return False  # no locks on this file system
        else:
            return True
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        pause = min(pause * 2, _LAST_PAUSE_S)

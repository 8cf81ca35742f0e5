"""Who has which entries: one file a cache object, locked for as long as its process lives.

Its lines say what was handed out (`use`), that what was about to be has not come (`drop`), and what
a block holds until it ends (`pin`, `unpin`). A process that dies leaves a file that nobody has
locked. Where locks do not work, its process id tells on this machine, and a day without a line on
others.

Lines are written while nobody removes: the gate sees to that, as far as locks work. Lines of what
is about to be published need not be.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
import weakref
from collections import Counter
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from datacachalog.adapters.cache.entries import names_in
from datacachalog.adapters.cache.locks import acquired, exclusive
from datacachalog.adapters.cache.owners import is_of_this_machine, owned_name, owner_is_gone
from datacachalog.adapters.cache.records import NOTHING_THERE
from datacachalog.adapters.disk import share_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

_DAY_S = 24 * 3600.0
_MAX_READ_BYTES = 64 << 20
_REWRITTEN_AT_BYTES = 1 << 20
_SAFE = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | _SAFE
_GATE = ".gate"
# A remover that was stopped with the gate closed must not stop everybody.
_SHORT, _LONG = timedelta(milliseconds=200), timedelta(seconds=2)


class Pins:
    """The pins that one cache object has set, and a look at those of others. Threads may share it.

    An entry's name here is that of its folder: `<source key>/<revision id>`.
    """

    def __init__(self, folder: Path, prepare: Callable[[], None], *, shared: bool = False) -> None:
        self.folder, self._prepare, self._shared = folder, prepare, shared
        # By process: a fork has neither its parent's pins nor its lock.
        self._files: dict[int, _PinFile] = {}

    def use(self, name: str) -> None:
        """Notes that this process hands the entry out.

        Raises:
            OSError: the cache may not be written.
        """
        self._file().write("use", name)

    def announce(self, name: str) -> bool:
        """Notes it of an entry that is about to be published; whether it was not noted already.

        Who removes looks for entries first, and then at the pins; so nobody need wait at the gate.
        Raises as `use` does.
        """
        file = self._file()
        is_new = name not in file.used
        file.write("use", name, is_announced=True)
        return is_new

    def take_back(self, name: str) -> None:
        """Undoes an `announce` of what did not come. Raises as `use` does."""
        self._file().write("drop", name, is_announced=True)

    def pin(self, name: str) -> None:
        """Holds the entry until as many `unpin`. Raises as `use` does."""
        self._file().write("pin", name)

    def unpin(self, name: str) -> None:
        """Undoes one `pin`. Raises as `use` does."""
        self._file().write("unpin", name)

    def has_used(self, name: str) -> bool:
        """Whether this process has handed it out."""
        return (file := self._files.get(os.getpid())) is not None and name in file.used

    def pinned(self) -> set[str]:
        """What blocks of this process hold."""
        file = self._files.get(os.getpid())
        return set() if file is None else set(file.pinned)

    def forget(self, name: str) -> None:
        """The entry is gone."""
        if (file := self._files.get(os.getpid())) is not None:
            file.used.pop(name, None)

    def gate_closed(self) -> AbstractContextManager[bool]:
        """Has others wait, for a moment, who would set a pin."""
        gate = str(self.folder / _GATE)
        return exclusive(gate, _LONG, prepare=self._prepare, shared=self._shared)

    def of_others(self) -> set[str]:
        """What living processes have, other than through this object.

        What was handed out counts while it is the latest of its source, and for a day.
        """
        held: set[str] = set()
        for path in self._others():
            if not self._is_dead(path):
                held |= _held(path)
        return held

    def sweep(self) -> None:
        """Removes the files of dead processes."""
        for path in self._others():
            if self._is_dead(path):
                path.unlink(missing_ok=True)
        for name in names_in(self.folder):
            if name.startswith(".") and owner_is_gone(name[1:]):
                (self.folder / name).unlink(missing_ok=True)

    def _others(self) -> list[Path]:
        ours = self._files.get(os.getpid())
        own = "" if ours is None else ours.path.name
        names = names_in(self.folder)
        return [self.folder / one for one in names if one != own and not one.startswith(".")]

    def _file(self) -> _PinFile:
        file = self._files.get(os.getpid())
        if file is None:
            self._prepare()
            # Two threads may both be the first: the second one's file goes unused, and is closed.
            file = self._files.setdefault(os.getpid(), self._new())
        return file

    def _new(self) -> _PinFile:
        return _PinFile(self.folder, self._prepare, shared=self._shared)

    def _is_dead(self, path: Path) -> bool:
        try:
            fd = os.open(path, os.O_RDONLY | _SAFE)
        except OSError as error:
            return error.errno in NOTHING_THERE  # else it is another user's
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        finally:
            silent_s = time.time() - os.fstat(fd).st_mtime
            os.close(fd)
        if not is_of_this_machine(path.name):
            return silent_s > _DAY_S  # locks need not reach from machine to machine
        return self._file().is_lock_seen() or owner_is_gone(path.name)


class _PinFile:
    def __init__(self, folder: Path, prepare: Callable[[], None], *, shared: bool) -> None:
        self.used: dict[str, float] = {}
        self.pinned: Counter[str] = Counter()
        self._folder, self._prepare, self._shared = folder, prepare, shared
        self._lock = threading.Lock()
        self._open_gate()
        self._open()

    def _open_gate(self) -> None:
        self._gate = os.open(self._folder / _GATE, os.O_RDONLY | os.O_CREAT | _SAFE, 0o664)
        self._end_of_gate = weakref.finalize(self, _close, self._gate)
        if self._shared:
            share_file(self._gate)

    def _open(self) -> None:
        # Locked before it has the name that others look for.
        name = owned_name()
        fresh, self.path = self._folder / f".{name}", self._folder / name
        self._fd = os.open(fresh, _NEW, 0o644)  # others heed what they can read
        if self._shared:
            share_file(self._fd)
        with suppress(OSError):  # no locks on this file system
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fresh.rename(self.path)
        self._end = weakref.finalize(self, _remove, self._fd, self.path, os.getpid())
        self._size, self._is_torn = 0, False

    def is_lock_seen(self) -> bool:
        """Whether this file's own lock keeps another descriptor off, as it should."""
        try:
            fd = os.open(self.path, os.O_RDONLY | _SAFE)
        except FileNotFoundError:  # somebody has removed the whole cache
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(fd)
        return False

    def write(self, what: str, name: str, *, is_announced: bool = False) -> None:
        with self._lock:
            if os.fstat(self._fd).st_nlink == 0:
                self._begin_again()
            if is_announced and self._size <= _REWRITTEN_AT_BYTES:
                self._note(what, name)
            else:
                with self._gate_open():
                    self._note(what, name)

    def _begin_again(self) -> None:
        """Somebody has removed the whole cache, and others look at the files of a new one."""
        self._prepare()
        self._end_of_gate()
        self._open_gate()
        self._rewrite()

    def _note(self, what: str, name: str) -> None:
        if self._size > _REWRITTEN_AT_BYTES:
            self._rewrite()
        now = time.time()
        self._append(f"{what} {name} {now:.0f}\n")
        match what:
            case "use":
                self.used[name] = now
            case "drop":
                self.used.pop(name, None)
            case "pin":
                self.pinned[name] += 1
            case _:
                self.pinned -= Counter([name])

    @contextmanager
    def _gate_open(self) -> Iterator[None]:
        acquired(self._gate, fcntl.LOCK_SH, _SHORT)
        try:
            yield
        finally:
            with suppress(OSError):  # no locks on this file system
                fcntl.flock(self._gate, fcntl.LOCK_UN)

    def _append(self, text: str) -> None:
        data = text.encode()
        if self._is_torn:  # what comes now must not be read as the end of that line
            data = b"\n" + data
        self._is_torn = True
        while data:
            data = data[os.write(self._fd, data) :]
        self._is_torn = False
        self._size += len(text)

    def _rewrite(self) -> None:
        """Begins a new file with what still holds; both say so until the old one goes."""
        end_of_old = self._end
        self._open()
        used = [f"use {name} {at:.0f}\n" for name, at in self.used.items()]
        pinned = [f"pin {name} {time.time():.0f}\n" for name in self.pinned.elements()]
        self._append("".join(used + pinned))
        self._size = 0  # of what is new in it
        end_of_old()


def _remove(fd: int, path: Path, process: int) -> None:
    if os.getpid() == process:
        path.unlink(missing_ok=True)
    _close(fd)


def _close(fd: int) -> None:
    with suppress(OSError):
        os.close(fd)


def _held(path: Path) -> set[str]:
    """What the lines of a living process's file hold."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | _SAFE), "rb") as file:
            text = file.read(_MAX_READ_BYTES).decode(errors="replace")
    except OSError:
        return set()
    used: dict[str, int] = {}  # in the order of the last time
    pinned: Counter[str] = Counter()
    now = time.time()
    for line in text.splitlines():
        match line.split(" "):
            case ["use", name, at] if at.isdecimal():
                used.pop(name, None)
                used[name] = int(at)
            case ["drop", name, _]:
                used.pop(name, None)
            case ["pin", name, _]:
                pinned[name] += 1
            case ["unpin", name, _]:
                pinned[name] = max(0, pinned[name] - 1)  # a fork's parent may have set it
    latest = {name.partition("/")[0]: name for name in used}
    recent = {name for name, at in used.items() if now - at < _DAY_S}
    return recent | set(latest.values()) | {name for name, n in pinned.items() if n > 0}

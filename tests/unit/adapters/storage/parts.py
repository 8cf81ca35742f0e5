"""A store that gives parts as it is told to, and what has to be true after every transfer."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from datacachalog.adapters.storage import transfer as engine
from datacachalog.adapters.storage.pace import Pace
from datacachalog.adapters.storage.transfer import (
    PART_BYTES,
    ObjectChangedError,
    RangeIgnoredError,
    transfer,
)
from datacachalog.domain.errors import StorageUnavailableError
from datacachalog.domain.objects import NOT_MODIFIED, ObjectInfo
from datacachalog.domain.uri import Uri
from datacachalog.ports import SILENT
from datacachalog.testing.payloads import payload

if TYPE_CHECKING:
    from collections.abc import Callable

    from datacachalog.adapters.storage.stored_sums import StoredSum

URI = Uri("mem", "lake", "a")
SIZE = 3 * PART_BYTES + 5
DATA = payload(1, SIZE)
STARTS = range(PART_BYTES, SIZE, PART_BYTES)
"""Where the parts after the first begin."""

DOWN = StorageUnavailableError(str(URI), "connection reset")


@dataclass(frozen=True)
class FakePart:
    info: ObjectInfo
    start: int
    end: int
    data: Any

    def body(self):
        if isinstance(self.data, Exception):
            raise self.data
        return self.data


@dataclass
class FakeSource:
    """A `PartSource` that gives what `answers` makes of the right part, by where it begins."""

    data: bytes = DATA
    etag: str | None = '"strong"'
    ignores_ranges: bool = False
    answers: dict[Any, Any] = field(default_factory=dict)
    asked: list[Any] = field(default_factory=list)
    tells: Callable[[], StoredSum | None] = lambda: None

    @property
    def info(self):
        return ObjectInfo(URI, len(self.data), etag=self.etag)

    def first(self, size_bytes, unless):
        if self.ignores_ranges:
            raise RangeIgnoredError
        if unless is not None and unless.same_bytes(self.info.revision):
            return NOT_MODIFIED
        return self.part(0, min(size_bytes, len(self.data)), self.info)

    def part(self, start, end, of):
        self.asked.append(start)
        part = FakePart(self.info, start, end, memoryview(self.data)[start:end])
        return self.answers.get(start, lambda part: part)(part)

    def stored_sum(self, of):
        return self.tells()

    def whole(self):
        self.asked.append("whole")
        blocks = (self.data[n : n + 1_000_000] for n in range(0, len(self.data), 1_000_000))
        return self.info, self.answers.get("whole", iter)(blocks)


def refused(part):
    """The server says that the object is another one now."""
    raise ObjectChangedError


def transferred(source, dest, progress=SILENT):
    """The info of an unconditional transfer, which always has one."""
    info = transfer(source, dest, None, progress)
    assert isinstance(info, ObjectInfo)
    return info


def wait_for_workers():
    """Returns when no thread works at a part any more."""
    for thread in threading.enumerate():
        if thread.name.startswith(("datacachalog-part", "datacachalog-sum")):
            thread.join(30)


def open_files():
    """The descriptors that this process has open, and which file each of them is."""
    found = set()
    for path in Path("/dev/fd").iterdir():
        with suppress(OSError):  # the one that this was listed by
            status = os.fstat(int(path.name))
            found.add((path.name, status.st_dev, status.st_ino))
    return found


@pytest.fixture
def nothing_is_kept():
    """Fails a test that leaves a slot for parts taken, or a descriptor open.

    What was open before may be closed meanwhile: garbage of other tests is. Parts are as large as
    they can be, however slow the machine is.
    """
    wait_for_workers()  # of other tests
    before = open_files()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Pace, "came", lambda *_: None)
        yield
        wait_for_workers()

    def kept():
        slots = engine._slots.get(os.getpid())
        free = engine._HELD_PARTS if slots is None else slots._value
        return (engine._HELD_PARTS - free, open_files() - before)

    # A join that Ctrl-C has interrupted takes a thread for dead that is not (bpo-45274).
    deadline = time.monotonic() + 30
    while kept() != (0, set()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (0, set()) == kept()

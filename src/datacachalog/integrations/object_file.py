"""An object as a file: what Python libraries read that know nothing of stores."""

from __future__ import annotations

import io
import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typing_extensions import Buffer


class ObjectFile(io.RawIOBase):
    """One revision of an object. `read_range(start, end)` gives exactly these bytes of it.

    Threads may share it: each reads where it sought last. DuckDB 2 has several threads seek and
    read in one file at once; with one position for all of them, a read gives what another one
    sought (seen with 2.0.0: "Snappy decompression failure" on a file that is whole).
    """

    def __init__(self, size_bytes: int, read_range: Callable[[int, int], bytes]) -> None:
        super().__init__()
        self._size_bytes, self._read_range = size_bytes, read_range
        self._position, self._sought = 0, threading.local()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: self._size_bytes}[whence]
        if start + offset < 0:
            raise ValueError("a file has no bytes before its first one")
        self._position = self._sought.position = start + offset
        return start + offset

    def tell(self) -> int:
        """Where this thread has sought; where the last reader ended, if it has not since."""
        position: int | None = getattr(self._sought, "position", None)
        return self._position if position is None else position

    def read(self, size: int | None = -1) -> bytes:
        start = self.tell()
        rest = max(0, self._size_bytes - start)
        length = rest if size is None or size < 0 else min(size, rest)
        # Before the bytes come, so that who reads on meanwhile, reads what follows.
        self._position, self._sought.position = start + length, None
        return self._read_range(start, start + length) if length else b""

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)


def local_file(path: Path) -> ObjectFile:
    """A local file as threads may share it."""
    file = path.open("rb", buffering=0)
    descriptor = file.fileno()

    class LocalFile(ObjectFile):
        def close(self) -> None:
            file.close()
            super().close()

    def read_range(start: int, end: int) -> bytes:
        return os.pread(descriptor, end - start, start)

    return LocalFile(os.fstat(descriptor).st_size, read_range)

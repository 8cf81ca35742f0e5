"""The file that a transfer writes."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

import blake3

from datacachalog.adapters.disk import cache_errors, create_new, write_at
from datacachalog.adapters.journal import Journal
from datacachalog.adapters.storage.comparing import Comparison
from datacachalog.adapters.storage.room import reserve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typing_extensions import Buffer

    from datacachalog.adapters.journal import Kept
    from datacachalog.adapters.storage.stored_sums import StoredSum
    from datacachalog.domain.objects import Revision
    from datacachalog.ports import TransferProgress

_SETTLE_S = 1.0
# So that what is hashed twice comes from memory once: 512 MiB take 5 % less time.
_HASHED_BYTES = 256 << 10


class Sink:
    """The file that is being written, hashed in order, and its journal if it has one.

    It closes when the last of its users has let go: a worker that outlives an interrupted transfer
    must never write to a descriptor that means another file by then.
    """

    def __init__(self, dest: Path, progress: TransferProgress, kept: Kept | None = None) -> None:
        self._dest, self._progress = dest, progress
        self._users, self._lock = 1, threading.Lock()
        self._at_work, self._is_over = 0, False
        self._idle = threading.Condition(self._lock)
        self._journal: Journal | None = None
        self._comparison: Comparison | None = None
        self._hasher, self.offset = blake3.blake3(), 0
        if kept is not None:
            self._fd, self._journal = kept.fd, kept.journal
            self._hasher, self.offset = kept.hasher, kept.offset
            return
        with cache_errors(dest):
            self._fd = create_new(dest)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: object, __: object) -> None:
        # Closing may tell that the disk had no room for what was written; but first things first.
        with cache_errors(self._dest) if error is None else suppress(OSError):
            self.release()

    def share(self) -> None:
        """Counts one more user."""
        with self._lock:
            self._users += 1

    def release(self) -> None:
        """Counts one user less."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                if self._journal is not None:
                    with suppress(OSError):  # what is not in it is fetched again
                        self._journal.close()
                os.close(self._fd)

    def reserve(self, size_bytes: int) -> None:
        """Makes sure that the disk has room for the whole file.

        Raises:
            CacheFullError: it has not.
        """
        with cache_errors(self._dest):
            reserve(self._fd, size_bytes)

    def begin_journal(self, revision: Revision) -> None:
        """From here on, what is written can be gone on with by another transfer."""
        with cache_errors(self._dest):
            self._journal = Journal.begin(self._dest, revision)
            self._journal.note(self.offset, self._hasher.hexdigest())

    def end_journal(self) -> None:
        """The file is whole, or must not be gone on with."""
        if self._journal is not None:
            with cache_errors(self._dest):
                self._journal.remove()

    @contextmanager
    def work(self) -> Iterator[bool]:
        """Whether what is done in the block may still write."""
        with self._lock:
            self._at_work += 1
            may_write = not self._is_over
        try:
            yield may_write
        finally:
            with self._lock:
                self._at_work -= 1
                self._idle.notify_all()

    def settle(self) -> None:
        """After an interrupt: nobody writes any more, now that others may go on with the file.

        Where somebody is stuck at it, they may not.
        """
        is_settled = False
        try:
            with self._lock:
                self._is_over = True
                is_settled = self._idle.wait_for(lambda: not self._at_work, _SETTLE_S)
        finally:
            if not is_settled:
                self.end_journal()

    def compare_with(self, ask: Callable[[], StoredSum | None]) -> None:
        """From here on, what is written is held against what `ask` gives, in its own time."""
        self._comparison = Comparison(ask)

    def difference(self) -> str | None:
        """How all that was written differs from what the store has a checksum of, if it does."""
        if self._comparison is None:
            return None
        with cache_errors(self._dest):
            return self._comparison.difference(self._dest, self.offset)

    def store(self, data: Buffer, offset: int) -> None:
        """Writes bytes anywhere; `digest` has to be given them later, in order."""
        with cache_errors(self._dest):
            write_at(self._fd, data, offset)

    def digest(self, data: Buffer) -> None:
        """Takes the next stored bytes, in order, into the digest and the journal."""
        view = memoryview(data).cast("B")
        size = view.nbytes
        with cache_errors(self._dest):
            for start in range(0, size, _HASHED_BYTES):
                block = view[start : start + _HASHED_BYTES]
                self._hasher.update(block)
                if self._comparison is not None:
                    self._comparison.take(block, self._dest, self.offset + start)
        self.offset += size
        if self._journal is not None:
            with cache_errors(self._dest):
                self._journal.note(self.offset, self._hasher.hexdigest())
        self._progress.advance(size)

    def write(self, data: Buffer) -> None:
        """Writes the next bytes, in order."""
        self.store(data, self.offset)
        self.digest(data)

    def hexdigest(self) -> str:
        """The BLAKE3 of all that was written."""
        return self._hasher.hexdigest()

"""What came, held against the checksum that the store keeps of it, as far as it tells one.

The store is asked beside the download, in one request more. Until it has answered nobody knows
which checksum to take; so the bytes up to there are read once more from the file, which the system
still has in memory, and the rest is taken in passing.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, cast

from datacachalog.adapters.storage.forks import loaded
from datacachalog.adapters.storage.s3_answers import normal_validators

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from typing_extensions import Buffer

    from datacachalog.adapters.storage.stored_sums import Running, StoredSum
    from datacachalog.domain.objects import Revision

_PATIENCE_S: Final = 10.0  # with an answer, once all bytes are there
_BLOCK_BYTES: Final = 1 << 20


def stored_sum(headers: Mapping[str, str], of: Revision) -> StoredSum | None:
    """What a description, its names in small letters, tells of a revision, if it is of that one.

    A server may ignore If-Match, and describe what is there by now.
    """
    etag, _ = normal_validators(headers.get("etag"), None)
    if (etag, headers.get("content-length")) != (of.etag, str(of.size_bytes)):
        return None
    return cast("StoredSum | None", loaded("stored_sums").told_by(headers))


class Comparison:
    """One download's; `ask` is called at once, in a thread of its own."""

    def __init__(self, ask: Callable[[], StoredSum | None]) -> None:
        self._ask, self._is_answered = ask, threading.Event()
        self._told: StoredSum | None = None
        self._running: Running | None = None
        try:
            threading.Thread(target=self._listen, name="datacachalog-sum", daemon=True).start()
        except RuntimeError:  # the system has no more threads to give
            self._listen()

    def _listen(self) -> None:
        try:
            self._told = self._ask()
        finally:
            self._is_answered.set()

    def take(self, data: Buffer, file: Path, offset: int) -> None:
        """Takes the next bytes, which follow `offset` bytes that are in the file."""
        if self._is_answered.is_set():
            self._catch_up(file, offset)
        if self._running is not None:
            self._running.update(data)

    def difference(self, file: Path, size_bytes: int) -> str | None:
        """How the file's bytes differ from those that the store has a checksum of.

        None where they do not, and where it has told none.
        """
        self._is_answered.wait(_PATIENCE_S)
        self._catch_up(file, size_bytes)
        if self._told is None or self._running is None:
            return None
        return self._told.difference(self._running.digest())

    def _catch_up(self, file: Path, size_bytes: int) -> None:
        if self._told is None or self._running is not None:
            return
        self._running = self._told.running()
        with file.open("rb", buffering=0) as before:
            while size_bytes and (block := before.read(min(_BLOCK_BYTES, size_bytes))):
                self._running.update(block)
                size_bytes -= len(block)

"""How many parts a transfer asks for at once, and how large they are: as its store can bear."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, TypeVar

from datacachalog.domain.errors import StorageUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# What is on its way when a process is killed has to be fetched again: of slow connections, eight
# parts of 1 MiB; of fast ones, what comes in a tenth of a second.
SMALLEST_PART_BYTES = 1 << 20
_WANTED_S = 0.1


class Pace:
    """One transfer's pace. Threads may share it.

    A failure halves the number of requests at once, as those that were under way together count
    for one; every answer lets it grow, by one for as many as there are at once. Parts are as large
    as comes in a tenth of a second, within bounds.
    """

    def __init__(self, at_once: int, part_bytes: int) -> None:
        self._most, self._largest = at_once, part_bytes
        self._at_once, self.part_bytes = float(at_once), part_bytes
        self._asking = 0
        self._halved_at = 0.0
        self._changed = threading.Condition()

    @property
    def at_once(self) -> int:
        """How many requests there may be at once, at present."""
        return int(self._at_once)

    def asked(self, ask: Callable[[], T]) -> T:
        """What `ask` gives, called when there is room for one more request."""
        with self._changed:
            self._changed.wait_for(lambda: self._asking < self.at_once)
            self._asking += 1
        begun = time.monotonic()
        try:
            answer = ask()
            self._speed_up()
        except StorageUnavailableError:
            self._slow_down(begun)
            raise
        finally:
            with self._changed:
                self._asking -= 1
                self._changed.notify_all()
        return answer

    def _speed_up(self) -> None:
        with self._changed:
            self._at_once = min(self._most, self._at_once + 1 / self._at_once)

    def _slow_down(self, begun: float) -> None:
        with self._changed:
            if begun >= self._halved_at:
                self._at_once = max(1.0, self._at_once / 2)
                self._halved_at = time.monotonic()

    def came(self, size_bytes: int, seconds: float) -> None:
        """So many bytes came in one answer, so long after it had begun."""
        size = int(size_bytes / max(seconds, 1e-6) * _WANTED_S)
        size -= size % SMALLEST_PART_BYTES
        self.part_bytes = max(SMALLEST_PART_BYTES, min(size, self._largest))

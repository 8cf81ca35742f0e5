"""What this process hands out, said to others, but not again for each hit."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

from datacachalog.adapters.cache.entries import is_as_published
from datacachalog.adapters.cache.housekeeping import entry_name
from datacachalog.adapters.disk import FORBIDDEN, turn_at_the_disk

if TYPE_CHECKING:
    from datacachalog.adapters.cache.pins import Pins
    from datacachalog.domain.objects import CacheEntry

# What is handed out again within this time need not be said again: that is the hot path.
_HELD_S = 600.0
_NEW_NS = 60 * 10**9


class Holds:
    """Says through `pins` what this process has. Threads and forks may share it."""

    def __init__(self, pins: Pins) -> None:
        self._pins = pins
        # Until when which copies need not be said to be held again.
        self._until: dict[tuple[int, str, int], float] = {}

    def announce(self, entry: CacheEntry) -> bool:
        """Holds what is about to be published; whether it was not held already."""
        with contextlib.suppress(OSError):  # then `hold` says it
            is_new = self._pins.announce(entry_name(entry))
            self._until[_of_us(entry)] = time.monotonic() + _HELD_S
            return is_new
        return False

    def take_back(self, entry: CacheEntry, *, is_noted: bool) -> None:
        """Undoes `announce` of what was not published; with `is_noted`, also what others see."""
        self._until.pop(_of_us(entry), None)
        if is_noted:
            with contextlib.suppress(OSError):
                self._pins.take_back(entry_name(entry))

    def hold(self, entry: CacheEntry) -> bool:
        """What `CachePort` says of it."""
        key = (os.getpid(), entry.revision_id, entry.mtime_ns)  # no call: it is part of every hit
        if time.monotonic() < self._until.get(key, 0.0):
            return True
        with turn_at_the_disk():
            is_noted = self._is_noted(entry)
            if not is_as_published(entry):
                return False
            # The folder of what has just come has that time.
            if abs(time.time_ns() - entry.mtime_ns) > _NEW_NS:
                with contextlib.suppress(OSError):
                    os.utime(entry.path.parent, follow_symlinks=False)
        if is_noted:
            self._until[key] = time.monotonic() + _HELD_S
        return True

    def _is_noted(self, entry: CacheEntry) -> bool:
        """Whether others see that this process has it, or never can; not so on a full disk."""
        try:
            self._pins.use(entry_name(entry))
        except OSError as error:  # a cache that is not ours to write will not be at the next hit
            return error.errno in FORBIDDEN
        return True

    def forget(self, entry: CacheEntry) -> None:
        """It was removed."""
        self._until.pop(_of_us(entry), None)

    def clear(self) -> None:
        """All were removed."""
        self._until.clear()


def _of_us(entry: CacheEntry) -> tuple[int, str, int]:
    """An entry as this process may hold it; what was removed and comes again, has another time."""
    return os.getpid(), entry.revision_id, entry.mtime_ns

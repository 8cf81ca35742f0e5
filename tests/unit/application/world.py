"""Clocks and witnesses for the catalog's tests."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from datacachalog.domain.uri import Uri
from datacachalog.testing.payloads import RecordedTransfer

if TYPE_CHECKING:
    from collections.abc import Iterator

ORDERS = Uri("mem", "lake", "sales/orders.csv")
# In the past, whatever the clock of this machine says: a cache may distrust the future.
NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


class ManualClock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def go_on(self, time: timedelta) -> None:
        self.now += time


class TickingClock:
    """A second later at every look; `looked_at` waits until it was looked at that often."""

    def __init__(self) -> None:
        self._looks = 0
        self._changed = threading.Condition()

    def __call__(self) -> datetime:
        with self._changed:
            self._looks += 1
            self._changed.notify_all()
            return NOON + self._looks * SECOND

    def looked_at(self, times: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._looks >= times, timeout=30)


class RecordedProgress:
    """A `ProgressPort` that remembers every transfer, by the name it was given."""

    def __init__(self) -> None:
        self.transfers: list[tuple[str, RecordedTransfer]] = []
        self.ended: list[str] = []

    @contextmanager
    def transfer(self, name: str) -> Iterator[RecordedTransfer]:
        transfer = RecordedTransfer()
        self.transfers.append((name, transfer))
        try:
            yield transfer
        finally:
            self.ended.append(name)

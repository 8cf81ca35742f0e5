"""Shows transfers to whoever watches: what moves now, and all of it together.

Here it is counted; `datacachalog.adapters.progress_display` draws, with rich. That is imported,
by name, only when a transfer has taken a while: rich takes longer to import than most transfers.
"""

from __future__ import annotations

import importlib
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count, islice
from typing import TYPE_CHECKING, Final, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from rich.console import Console

    from datacachalog.ports import TransferProgress

_DISPLAY: Final = "datacachalog.adapters.progress_display"
_DELAY_S: Final = 0.2
_REFRESH_S: Final = 0.1
_PAUSE_S: Final = 1.0  # transfers that follow one another within it are one batch
_MOST_ROWS: Final = 8


@dataclass(frozen=True, slots=True)
class Row:
    """One transfer at one moment. `number` tells transfers of one name apart."""

    number: int
    name: str
    moved_bytes: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Picture:
    """A batch of transfers at one moment: the oldest that still move, and the sums of all."""

    rows: tuple[Row, ...]
    begun: int
    ended: int
    moved_bytes: int
    size_bytes: int


class Display(Protocol):
    """Draws pictures, each over the one before."""

    def draw(self, picture: Picture) -> None:
        """Shows this instead of what was there."""
        ...

    def erase(self, last: Picture | None) -> None:
        """Shows how it ended, if that is known, and leaves the screen as it was before."""
        ...


class RichProgress:
    """A `ProgressPort` that draws on `console`, which is standard error unless given.

    Nothing is drawn of a batch that ends within 0.2 s, or more than ten times a second. The end of
    the last transfer is drawn, and then nothing. Used as a context, it is silent from its end on,
    whatever still moves.

    >>> with RichProgress() as progress, progress.transfer("customers") as transfer:
    ...     transfer.total(1024)
    ...     transfer.advance(1024)
    """

    def __init__(
        self, console: Console | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console, self._clock = console, clock
        self._lock = threading.Lock()  # of the counting; held for a few instructions
        self._drawing = threading.Lock()  # of the display; held while it draws
        self._display: Display | None = None
        self._numbers = count()
        self._batch = _Batch()
        self._batch_began = self._idle_since = clock() - _PAUSE_S
        self._moving = threading.Event()
        self._is_watched = False
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._closed = True
            self._moving.set()  # for the thread that draws to see it
        self._erase()

    @contextmanager
    def transfer(self, name: str) -> Iterator[TransferProgress]:
        following = _Following(self, name)
        try:
            yield following
        finally:
            following.end()

    def begin(self, name: str, size_bytes: int) -> int:
        """Counts a transfer, and returns its number."""
        with self._lock:
            if not self._moving.is_set():
                self._wake()
            number = next(self._numbers)
            self._batch.begin(number, name, size_bytes)
            return number

    def advance(self, number: int, size_bytes: int) -> None:
        """Counts bytes of a transfer, unless it has ended already."""
        with self._lock:
            self._batch.advance(number, size_bytes)

    def end(self, number: int) -> None:
        """Counts a transfer as ended; the last one takes the display with it."""
        with self._lock:
            last = self._batch.picture()
            self._batch.end(number)
            if self._batch.is_moving:
                return
            if not self._closed:
                self._moving.clear()
            self._idle_since = self._clock()
        self._erase(last)

    def draw(self) -> None:
        """Draws what moves now, if anything does."""
        rich_display = importlib.import_module(_DISPLAY).RichDisplay
        with self._drawing:
            with self._lock:
                picture = self._batch.picture()
                if not picture.rows or self._closed:
                    return
            if self._display is None:
                self._display = rich_display(self._console)
            self._display.draw(picture)

    def _wake(self) -> None:
        if self._clock() - self._idle_since >= _PAUSE_S:
            self._batch, self._batch_began = _Batch(), self._clock()
        self._moving.set()
        if not self._is_watched and not self._closed:
            self._is_watched = True
            threading.Thread(target=self._watch, name="progress", daemon=True).start()

    def _watch(self) -> None:
        # A terminal that is gone must not end the transfers: only the drawing ends.
        with suppress(OSError, ValueError):
            while not self._closed:
                self._moving.wait()
                time.sleep(_REFRESH_S)
                if self._clock() - self._batch_began >= _DELAY_S:
                    self.draw()

    def _erase(self, last: Picture | None = None) -> None:
        with self._drawing, suppress(OSError, ValueError):
            display, self._display = self._display, None
            if display is not None:
                display.erase(last)


class _Following:
    """One transfer, counted from when its size is known."""

    def __init__(self, progress: RichProgress, name: str) -> None:
        self._progress, self._name = progress, name
        self._number: int | None = None

    def total(self, size_bytes: int) -> None:
        former, self._number = self._number, self._progress.begin(self._name, size_bytes)
        if former is not None:  # it began anew
            self._progress.end(former)

    def advance(self, size_bytes: int) -> None:
        if self._number is not None:
            self._progress.advance(self._number, size_bytes)

    def end(self) -> None:
        if self._number is not None:
            self._progress.end(self._number)


class _Batch:
    """Counts transfers that belong together. Not thread-safe by itself."""

    def __init__(self) -> None:
        self._moving: dict[int, tuple[str, int]] = {}
        self._moved: dict[int, int] = {}
        self._begun = self._moved_bytes = self._size_bytes = 0

    @property
    def is_moving(self) -> bool:
        return bool(self._moving)

    def begin(self, number: int, name: str, size_bytes: int) -> None:
        self._moving[number], self._moved[number] = (name, size_bytes), 0
        self._begun += 1
        self._size_bytes += size_bytes

    def advance(self, number: int, size_bytes: int) -> None:
        if number in self._moved:
            self._moved[number] += size_bytes
            self._moved_bytes += size_bytes

    def end(self, number: int) -> None:
        _, size_bytes = self._moving.pop(number)
        # One that failed halfway moves no more: the rest of it is not waited for.
        self._size_bytes -= size_bytes - self._moved.pop(number)

    def picture(self) -> Picture:
        rows = tuple(
            Row(number, name, self._moved[number], size_bytes)
            for number, (name, size_bytes) in islice(self._moving.items(), _MOST_ROWS)
        )
        ended = self._begun - len(self._moving)
        return Picture(rows, self._begun, ended, self._moved_bytes, self._size_bytes)

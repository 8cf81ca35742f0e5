"""Progress that appears by itself where a person watches, and costs nothing where none does."""

from __future__ import annotations

import importlib
import os
import threading
import time
from typing import TYPE_CHECKING, Final

from datacachalog.ports import SILENT, SilentProgress

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from datacachalog.ports import ProgressPort, TransferProgress

_UNWATCHED_S: Final = 1.0
"""For how long nobody watches where nobody did; looking takes longer than writing a small file."""


class AutomaticProgress:
    """Shows transfers with rich while `is_watched`; rich is imported when bytes begin to move."""

    def __init__(self, is_watched: Callable[[], bool]) -> None:
        self._is_watched, self._unwatched_until = is_watched, 0.0
        # By process: a fork has neither its parent's thread that draws, nor a lock to wait for.
        self._shown: dict[int, ProgressPort] = {}
        self._locks: dict[int, threading.Lock] = {}

    def transfer(self, name: str) -> AbstractContextManager[TransferProgress]:
        return _LateTransfer(self, name)

    def shown(self) -> ProgressPort:
        """What shows transfers now: the one display of this process, or nothing."""
        if time.monotonic() < self._unwatched_until:
            return SilentProgress()
        if not self._is_watched():
            self._unwatched_until = time.monotonic() + _UNWATCHED_S
            return SilentProgress()
        process = os.getpid()
        # Many transfers may begin together: they share one display.
        with self._locks.setdefault(process, threading.Lock()):
            if process not in self._shown:
                module = importlib.import_module("datacachalog.adapters.progress")
                self._shown[process] = module.RichProgress()
            return self._shown[process]


class _LateTransfer:
    """A transfer that is not shown before its size is known."""

    def __init__(self, progress: AutomaticProgress, name: str) -> None:
        self._progress, self._name = progress, name
        self._context: AbstractContextManager[TransferProgress] | None = None
        self._transfer: TransferProgress = SILENT

    def __enter__(self) -> TransferProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._context is not None:
            self._context.__exit__(kind, error, traceback)

    def total(self, size_bytes: int) -> None:
        if self._context is None:
            self._context = self._progress.shown().transfer(self._name)
            self._transfer = self._context.__enter__()
        self._transfer.total(size_bytes)

    def advance(self, size_bytes: int) -> None:
        self._transfer.advance(size_bytes)

"""Doing one thing for many datasets at once, and telling of every failure."""

from __future__ import annotations

import importlib
from collections import deque
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from datacachalog.domain.errors import DatacachalogError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor

T = TypeVar("T")
V = TypeVar("V")

DEFAULT_WORKERS = 16


def for_each(
    work: Callable[[str], T],
    names: Iterable[str],
    *,
    max_workers: int | None = None,
    executor: Executor | None = None,
) -> tuple[dict[str, T], dict[str, DatacachalogError]]:
    """What `work` gave for each name, and the errors of those for which it failed.

    All names are tried, each once, at most `max_workers` (16) at a time; both answers are in the
    order of `names`. An exception that is not ours is a bug or an interrupt: what has not begun
    is cancelled, and it is raised at once. A given `executor` is used and left open.
    """
    unique = list(dict.fromkeys(names))
    if not unique:
        return {}, {}
    if executor is not None:
        return _gather(work, unique, executor)
    return _Crew(work, unique).done(min(max(1, max_workers or DEFAULT_WORKERS), len(unique)))


def works_elsewhere(executor: Executor | None) -> bool:
    """Whether an executor's work is done in other processes, as far as can be told."""
    return executor is not None and not isinstance(executor, _futures().ThreadPoolExecutor)


def _futures() -> Any:
    return importlib.import_module("concurrent.futures")  # by name: it takes 5 ms, with `logging`


class _Crew(Generic[T]):
    """Threads that take one name after the other.

    A `Future` for each of 1,000 small objects took a twentieth of their time.
    """

    def __init__(self, work: Callable[[str], T], names: list[str]) -> None:
        self._work, self._names, self._left = work, names, deque(names)
        self._results: dict[str, T] = {}
        self._failures: dict[str, DatacachalogError] = {}
        self._ends: SimpleQueue[BaseException | None] = SimpleQueue()

    def done(self, count: int) -> tuple[dict[str, T], dict[str, DatacachalogError]]:
        """What `for_each` says, by `count` threads."""
        try:
            for _ in range(self._started(count)):
                if (bug := self._ends.get()) is not None:
                    raise bug
        finally:
            self._left.clear()  # after a bug or Ctrl-C: nobody begins another, or is waited for
        return self._in_order(self._results), self._in_order(self._failures)

    def _started(self, count: int) -> int:
        """How many threads there are now: `count`, or as many as the system gives.

        Raises:
            RuntimeError: it gives none.
        """
        for number in range(count):
            # Waited for at the end of the program, even where a daemon thread began them.
            one = Thread(target=self._run, name=f"datacachalog_{number}", daemon=False)
            try:
                one.start()
            except RuntimeError:
                if number == 0:
                    raise
                return number
        return count

    def _in_order(self, found: dict[str, V]) -> dict[str, V]:
        return {name: found[name] for name in self._names if name in found}

    def _run(self) -> None:
        try:
            for name in iter(self._next, None):
                try:
                    self._results[name] = self._work(name)
                except DatacachalogError as error:
                    self._failures[name] = error
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            self._ends.put(error)
        else:
            self._ends.put(None)

    def _next(self) -> str | None:
        try:
            return self._left.popleft()
        except IndexError:
            return None


def _gather(
    work: Callable[[str], T], names: list[str], executor: Executor
) -> tuple[dict[str, T], dict[str, DatacachalogError]]:
    results: dict[str, T] = {}
    failures: dict[str, DatacachalogError] = {}
    futures = {name: executor.submit(work, name) for name in names}
    try:
        for name, future in futures.items():
            try:
                results[name] = future.result()
            except DatacachalogError as error:
                failures[name] = error
    finally:
        for future in futures.values():
            future.cancel()
    return results, failures

"""Doing one thing for many datasets at once, and telling of every failure."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, TypeVar

from datacachalog.domain.errors import DatacachalogError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor

T = TypeVar("T")

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
    if executor is not None:
        return _gather(work, unique, executor)
    workers = max(1, min(max_workers or DEFAULT_WORKERS, len(unique)))
    pool = _futures().ThreadPoolExecutor(workers, thread_name_prefix="datacachalog")
    try:
        return _gather(work, unique, pool)
    finally:
        # Everything is done here, unless a bug or Ctrl-C ended it: then nobody waits for the rest.
        pool.shutdown(wait=False, cancel_futures=True)


def works_elsewhere(executor: Executor | None) -> bool:
    """Whether an executor's work is done in other processes, as far as can be told."""
    return executor is not None and not isinstance(executor, _futures().ThreadPoolExecutor)


def _futures() -> Any:
    return importlib.import_module("concurrent.futures")  # by name: it takes 5 ms, with `logging`


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

"""What no fork may come into: its child would wait for ever for what another thread held then.

Such are the locks of a module that is being imported, and those of OpenSSL as it first looks up an
algorithm, makes a context for TLS, or shakes hands.
"""

from __future__ import annotations

import functools
import importlib
import os
import threading
from typing import Any, Final

_PATIENCE_S = 5.0


class _NoFork:
    """A context that is for milliseconds, never for a request: whoever wants to fork waits for it.

    But not for ever: what it waits for may itself wait for what the forking thread holds.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may fork in the middle of it
        self._forking = threading.local()

    def __enter__(self) -> None:
        _heed_forks()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def before(self) -> None:
        self._forking.has_waited = False
        self._forking.has_waited = self._lock.acquire(timeout=_PATIENCE_S)

    def after_in_parent(self) -> None:
        if self._forking.has_waited:
            self._lock.release()

    def after_in_child(self) -> None:
        if self._forking.has_waited:
            self._lock.release()
        else:  # nobody is there who would
            self._lock = threading.RLock()


no_fork: Final = _NoFork()


@functools.cache
def _heed_forks() -> None:
    # First what else heeds them, and what boto3 imports: whoever forks asks the last one first, and
    # must not hold the lock of `logging` while it waits for an import that wants it.
    for module in ("logging", "concurrent.futures.thread"):
        importlib.import_module(module)
    os.register_at_fork(
        before=no_fork.before,
        after_in_parent=no_fork.after_in_parent,
        after_in_child=no_fork.after_in_child,
    )


def loaded(module: str) -> Any:
    """A module of this package, imported where it is first needed: beside a download."""
    with no_fork:
        return importlib.import_module(f"{__package__}.{module}")

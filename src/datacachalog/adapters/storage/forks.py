"""What no fork may come into: its child would wait for ever for what another thread held then.

Such are the locks of a module that is being imported, and those of OpenSSL as it first looks up an
algorithm, or makes a context for TLS.
"""

from __future__ import annotations

import importlib
import os
import threading
from typing import Any, Final

no_fork: Final = threading.Lock()
"""To be held for milliseconds, never over a request: whoever wants to fork waits for it."""
os.register_at_fork(
    before=no_fork.acquire, after_in_parent=no_fork.release, after_in_child=no_fork.release
)


def loaded(module: str) -> Any:
    """A module of this package, imported where it is first needed: beside a download."""
    with no_fork:
        return importlib.import_module(f"{__package__}.{module}")

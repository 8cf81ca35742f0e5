"""Warnings that point at whoever called the library, however deep it is by then."""

from __future__ import annotations

import sys
import warnings

_OURS = __name__.partition(".")[0]
# A block of `with catalog.pinned(...)` is entered by way of it.
_SKIPPED = {_OURS, "contextlib"}


def warn_caller(text: str, category: type[Warning]) -> None:
    """Warns at the line, outside of the library, that a call came from.

    In a thread of the library's own, that is where the thread began.
    """
    frame, level = sys._getframe(), 1  # noqa: SLF001 - as `warnings` counts frames
    while frame.f_back is not None and _package(frame.f_globals) in _SKIPPED:
        frame, level = frame.f_back, level + 1
    warnings.warn(text, category, stacklevel=level)


def _package(names: dict[str, object]) -> str:
    return str(names.get("__name__")).partition(".")[0]

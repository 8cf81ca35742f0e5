"""What no parameter and no body may hold, because a database, JSON or UTF-8 could not hold it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from datacachalog.server.errors import InvalidProblem

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 64
_INT64 = 2**63


def require_plain(given: Any) -> None:
    """Refuses a value that could be received and not be kept, or not be told again.

    >>> require_plain({"name": ["a", 1, None]})

    Raises:
        InvalidProblem: a string has NUL or half of a surrogate pair (PostgreSQL, UTF-8), a number
            is none or needs more than 64 bits (JSON, both databases), or it is nested too deeply.
    """
    for value in _flat(given):
        match value:
            case str() if "\0" in value or not _is_text(value):
                raise InvalidProblem("a string holds NUL, or a surrogate without its other half")
            case float() if not math.isfinite(value):
                raise InvalidProblem("NaN and Infinity are no numbers here")
            case int() if not -_INT64 <= value < _INT64:
                raise InvalidProblem("a number needs more than 64 bits")
            case _:
                pass


def _flat(given: Any) -> Iterator[Any]:
    """Every key and every value, without recursion, of which Python has little."""
    left = [(given, 0)]
    while left:
        value, depth = left.pop()
        if depth > MAX_DEPTH:
            raise InvalidProblem(f"it is nested more than {MAX_DEPTH} deep")
        if isinstance(value, dict):
            yield from value
            left += [(one, depth + 1) for one in value.values()]
        elif isinstance(value, list):
            left += [(one, depth + 1) for one in value]
        else:
            yield value


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True

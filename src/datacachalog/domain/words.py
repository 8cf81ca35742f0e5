"""How sizes and times read to a person. Pure."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_AGES = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


def size(size_bytes: int) -> str:
    """A number of bytes in the largest unit of which there is at least one.

    >>> size(1000), size(12_897_485)
    ('1000 B', '12.3 MiB')
    """
    amount, unit = float(size_bytes), 0
    # 1023.95 and above would read "1024.0"
    while amount >= (1024 if unit == 0 else 1023.95) and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{size_bytes} B" if unit == 0 else f"{amount:.1f} {_UNITS[unit]}"


def age(then: datetime, now: datetime) -> str:
    """How long ago `then` was, in one unit.

    >>> from datetime import datetime
    >>> age(datetime(2026, 1, 1, 12, 0, tzinfo=UTC), datetime(2026, 1, 1, 14, 30, tzinfo=UTC))
    '2 hours ago'
    """
    seconds = (now - then) // timedelta(seconds=1)
    for unit, length in _AGES:
        if seconds >= length:
            count = seconds // length
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now" if seconds >= -1 else moment(then)


def moment(when: datetime) -> str:
    """A time in ISO 8601, in UTC.

    >>> from datetime import datetime
    >>> moment(datetime(2026, 1, 1, 12, 0, tzinfo=UTC))
    '2026-01-01T12:00:00Z'
    """
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z")

"""How values read to a person, and what is safe to send to a terminal. Pure."""

from __future__ import annotations

from datetime import UTC, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Final
from unicodedata import category, east_asian_width

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import TextIO

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_AGES = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
_COLOURS: Final[Mapping[str, str]] = {
    "bold": "1",
    "dim": "2",
    "red": "1;31",
    "green": "32",
    "yellow": "33",
    "cyan": "36",
}


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


def escaped(text: str, *, keep: str = "") -> str:
    r"""`text` with everything spelled out that could move, hide or turn what a terminal shows.

    Those are the control and formatting characters, the line separators, and bytes that are no
    text; `keep` names the ones that may stay.

    >>> escaped("data\x1b[2Jbase")
    'data\\x1b[2Jbase'
    """
    if text.isprintable():
        return text
    return "".join(
        c if c in keep or c.isprintable() or category(c) == "Zs" else ascii(c)[1:-1] for c in text
    )


def width(text: str) -> int:
    """The columns that `text` takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if category(c) == "Mn" else 2 if east_asian_width(c) in {"W", "F"} else 1 for c in text
    )


def padded(text: str, columns: int) -> str:
    """`text` with spaces up to `columns`."""
    return text + " " * (columns - width(text))


def cropped(text: str, columns: int) -> str:
    """`text`, its end replaced by an ellipsis where it takes more than `columns`.

    >>> cropped("One row per customer", 10)
    'One row p…'
    """
    if width(text) <= columns:
        return text
    ends = accumulate(map(width, text))
    return "".join(c for c, end in zip(text, ends, strict=True) if end < columns) + "…"


def has_colour(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether colours may be sent there: a terminal that has them, and nobody said no.

    `NO_COLOR` means what https://no-color.org says: any value but the empty one.
    """
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def painted(text: str, colour: str, *, enabled: bool) -> str:
    """`text` in a colour, where that is `enabled`."""
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if enabled else text

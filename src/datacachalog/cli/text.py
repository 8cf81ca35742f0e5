"""What is safe to send to a terminal, how wide it is there, and in which colour. Pure."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Final
from unicodedata import category, east_asian_width

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

_COLOURS: Final[Mapping[str, str]] = {
    "bold": "1",
    "dim": "2",
    "red": "1;31",
    "green": "32",
    "yellow": "33",
    "cyan": "36",
}


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

"""When a cached entry may be served without asking its store."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"(\d{1,9})\s*([smhdw])")


def parse_duration(text: str, others: str = "") -> timedelta:
    """The time that `text` names: `90s`, `30d`, `1h 30m`; `others` are other words that it may be.

    Raises:
        ValueError: it names none; the message ends a sentence.

    >>> parse_duration("1h 30m")
    datetime.timedelta(seconds=5400)
    """
    parts = _DURATION.findall(text)
    if not parts or _DURATION.sub("", text).strip():
        raise ValueError(f"must be {others}a duration such as 10m, not {text!r}")
    try:
        return sum((timedelta(**{_UNITS[unit]: int(n)}) for n, unit in parts), timedelta())
    except OverflowError:
        raise ValueError(f"is longer than can be counted: {text!r}") from None


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old a confirmation may be before the store is asked again.

    `max_age` is zero for `always` (ask at every fetch) and None for `never` (fetch once, then
    never ask again).
    """

    max_age: timedelta | None

    @classmethod
    def parse(cls, text: str) -> Freshness:
        """The policy that `text` names: `always`, `never`, or a duration such as `90s` or `1h 30m`.

        Raises:
            ValueError: it is none of these; the message ends the sentence "freshness …".

        >>> Freshness.parse("1h 30m").max_age
        datetime.timedelta(seconds=5400)
        """
        if text == "always":
            return ALWAYS
        if text == "never":
            return NEVER
        return cls(parse_duration(text, "always, never or "))

    def __str__(self) -> str:
        if self.max_age is None:
            return "never"
        if self.max_age <= timedelta(0):
            return "always"
        whole, rest = divmod(self.max_age, timedelta(seconds=1))
        left, words = whole + bool(rest), []  # rounded up: never ""
        for unit, seconds in (("w", 604800), ("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
            count, left = divmod(left, seconds)
            if count:
                words.append(f"{count}{unit}")
        return " ".join(words)


ALWAYS = Freshness(timedelta(0))
NEVER = Freshness(None)

_NOW = timedelta(0)


def is_fresh(checked_at: datetime, freshness: Freshness, now: datetime) -> bool:
    """Whether what was confirmed at `checked_at` may be served, and its store not be asked.

    It may while `now - checked_at < max_age`; at exactly `max_age` it is stale (RFC 9111 §4.2:
    fresh means *less than* its lifetime). What was confirmed in the future, because a clock went
    back, is stale.
    """
    max_age = freshness.max_age
    return max_age is None or _NOW <= now - checked_at < max_age

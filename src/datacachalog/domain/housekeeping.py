"""What of a cache may go, and what goes first. Pure: no disk, no clock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from datacachalog.domain.sizes import FIVE_PERCENT, MinFree

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from datacachalog.domain.objects import CacheEntry

GRACE = timedelta(hours=1)
"""How long after its last use a current entry stays, where no bound on the cache is broken."""
_WRONG_CLOCK = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a cache may take: `max_bytes`, and only what leaves the disk `min_free`."""

    max_bytes: int | None = None
    min_free: MinFree = FIVE_PERCENT


NO_BOUNDS = Bounds(min_free=MinFree())


class Space(NamedTuple):
    """What a disk has left for this user, and in all."""

    free_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Usage:
    """An entry, and who may still want it.

    `used_at` is when its path was last handed out, exact to ten minutes. `is_current` says that
    it is what its store was last seen to hold, `is_pinned` that a `pinned` block or another living
    process has it, `is_ours` that this process has brought it or handed it out.
    """

    entry: CacheEntry
    used_at: datetime
    is_current: bool
    is_pinned: bool
    is_ours: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """What shall go.

    What is `superseded`; what was not used for `unused_for`; and what was least recently used,
    until all entries together take no more than `max_bytes`, and `enough_bytes` went. Current
    entries that were used within `grace` stay, and so does what this process has handed out,
    unless `even_ours`.
    """

    superseded: bool = False
    unused_for: timedelta | None = None
    max_bytes: int | None = None
    enough_bytes: int = 0
    grace: timedelta = GRACE
    even_ours: bool = False


def removals(usages: Iterable[Usage], wish: Wish, now: datetime) -> tuple[Usage, ...]:
    """What to remove. What is pinned stays, whatever is wished."""
    oldest_first = sorted(usages, key=lambda one: _age(one, now), reverse=True)
    loose = [one for one in oldest_first if not _stays(one, wish, now)]
    chosen = [one for one in loose if _is_unwanted(one, wish, now)]
    too_much = wish.enough_bytes
    if wish.max_bytes is not None:
        too_much = max(too_much, _bytes(oldest_first) - wish.max_bytes)
    too_much -= _bytes(chosen)
    for one in loose:
        if too_much > 0 and not _is_unwanted(one, wish, now):
            chosen.append(one)
            too_much -= one.entry.info.size_bytes
    return tuple(chosen)


def to_make_room(
    usages: Sequence[Usage],
    bounds: Bounds,
    missing_bytes: int,
    keep: Collection[str],
    now: datetime,
) -> tuple[Usage, ...]:
    """What to remove so that bounds hold, where the disk misses `missing_bytes` of its `min_free`.

    `max_bytes` holds at the price of current entries too, also of those that this process has
    handed out, but not of the revisions in `keep`. The disk may be full of other things: for its
    sake nothing goes that is current and was used within `GRACE`.
    """
    kept = tuple(replace(one, is_pinned=one.is_pinned or _id(one) in keep) for one in usages)
    hard = Wish(max_bytes=bounds.max_bytes, grace=timedelta(0), even_ours=True)
    chosen = removals(kept, hard, now)
    gone = {_id(one) for one in chosen}
    soft = Wish(enough_bytes=missing_bytes - _bytes(chosen))
    return chosen + removals((one for one in kept if _id(one) not in gone), soft, now)


def _stays(usage: Usage, wish: Wish, now: datetime) -> bool:
    if usage.is_pinned or (usage.is_ours and not wish.even_ours):
        return True
    return usage.is_current and _age(usage, now) < wish.grace


def _is_unwanted(usage: Usage, wish: Wish, now: datetime) -> bool:
    if wish.unused_for is not None:
        return _age(usage, now) >= wish.unused_for
    return wish.superseded and not usage.is_current


def _bytes(usages: Iterable[Usage]) -> int:
    return sum(one.entry.info.size_bytes for one in usages)


def _id(usage: Usage) -> str:
    return usage.entry.revision_id


def _age(usage: Usage, now: datetime) -> timedelta:
    """How long ago it was used; what a wrong clock has put into the future was used long ago."""
    age = now - usage.used_at
    return timedelta.max if age < -_WRONG_CLOCK else max(age, timedelta(0))

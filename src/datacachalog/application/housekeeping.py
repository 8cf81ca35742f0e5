"""Keeping the cache within its bounds, after what brings bytes and on demand."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TypeVarTuple, Unpack

from datacachalog.application.callers import warn_caller
from datacachalog.application.results import CacheSizeWarning, Collected
from datacachalog.domain.errors import CacheError, CacheFullError
from datacachalog.domain.housekeeping import Wish, removals, to_make_room
from datacachalog.domain.words import size

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from datacachalog.application.results import Fetched
    from datacachalog.domain.housekeeping import Bounds
    from datacachalog.ports import CachePort, Clock

T = TypeVarTuple("T")

_ATTEMPTS = 5
_IN_VAIN_FOR = timedelta(minutes=1)


class Housekeeping:
    """What a catalog removes from its cache. Threads may share one."""

    def __init__(self, cache: CachePort, clock: Clock, bounds: Bounds) -> None:
        self._cache, self._clock, self._bounds = cache, clock, bounds
        self._in_vain_at: datetime | None = None

    def hand_out(self, bring: Callable[[Unpack[T]], Fetched], asked: tuple[*T]) -> Fetched:
        """What `bring` fetches, held for this process; a full disk is made room on, once."""
        for _ in range(_ATTEMPTS):
            try:
                fetched = bring(*asked)
            except CacheFullError:
                if not self._make_room():
                    raise
                fetched = bring(*asked)
            if self._cache.hold(fetched.entry):
                return fetched
        raise CacheError(str(fetched.path), "another process keeps removing it")

    def collect(
        self, *, unused_for: timedelta | None, max_bytes: int | None, dry_run: bool
    ) -> Collected:
        """Removes what is superseded, or unused for a time, and what the bounds do not allow."""
        missing_bytes = self._missing_bytes()  # before anything goes
        most = self._bounds.max_bytes if max_bytes is None else max_bytes
        swept = self._cache.sweep(unfinished=self._is_over(most), dry_run=dry_run)
        usages = tuple(self._cache.usages())
        wish = Wish(
            superseded=True,
            unused_for=unused_for,
            max_bytes=most,
            enough_bytes=missing_bytes - swept,
        )
        chosen = tuple(one.entry for one in removals(usages, wish, self._clock()))
        removed = chosen if dry_run else self._cache.remove(chosen)
        all_bytes = sum(one.entry.info.size_bytes for one in usages)
        gone_bytes = sum(entry.info.size_bytes for entry in removed)
        return Collected(removed, swept, all_bytes - gone_bytes)

    def keep_within_bounds(self, keep: Collection[str]) -> None:
        """Makes the bounds hold again after bytes have come; the revisions in `keep` stay.

        Where nothing could go for the sake of the disk, that is not tried again for a minute.
        """
        now, most = self._clock(), self._bounds.max_bytes
        missing = 0 if self._was_in_vain(now) else self._missing_bytes()
        is_over = self._is_over(most)
        if missing <= 0 and not is_over:
            return
        if is_over:  # what is unfinished goes before what is whole
            missing -= self._cache.sweep(unfinished=True)
        usages = tuple(self._cache.usages())
        chosen = to_make_room(usages, self._bounds, missing, keep, now)
        removed = self._cache.remove(one.entry for one in chosen)
        if missing > 0 and not removed:
            self._in_vain_at = now
        if most is not None and (left := self._cache.size_bytes()) > most:
            told = f"the cache takes {size(left)}, more than max_size ({size(most)}): all is in use"
            warn_caller(told, CacheSizeWarning)

    def _make_room(self) -> bool:
        """Removes what is superseded and left behind, for a full disk; whether anything went."""
        usages = tuple(self._cache.usages())
        chosen = removals(usages, Wish(superseded=True), self._clock())
        swept = self._cache.sweep()
        return bool(self._cache.remove(one.entry for one in chosen)) or swept > 0

    def _is_over(self, most: int | None) -> bool:
        return most is not None and self._cache.size_bytes() > most

    def _missing_bytes(self) -> int:
        free, total = self._cache.space()
        return max(0, self._bounds.min_free.of_disk(total) - free)

    def _was_in_vain(self, now: datetime) -> bool:
        at = self._in_vain_at
        return at is not None and timedelta(0) <= now - at < _IN_VAIN_FOR

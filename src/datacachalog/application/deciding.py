"""What a fetch does first, and what it falls back to: `fetch` and `why` both ask here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from datacachalog.domain.errors import IntegrityError, OfflineError, StorageUnavailableError
from datacachalog.domain.freshness import is_fresh
from datacachalog.domain.uri import TABLES

if TYPE_CHECKING:
    from datetime import datetime

    from datacachalog.domain.checksum import Checksum
    from datacachalog.domain.dataset import Dataset
    from datacachalog.domain.objects import CacheEntry
    from datacachalog.domain.uri import Uri
    from datacachalog.ports import CachePort, Clock

_DOWN_FOR = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Question:
    """The store is to be asked, unless `refusal` says why it is not; `known` is what is cached."""

    known: CacheEntry | None
    begun: datetime
    old_will_do: bool
    refusal: StorageUnavailableError | None


class Deciding:
    """Decides for one dataset at a time; remembers which stores were down. Threads may share one.

    Reads the cache, and changes nothing in it.
    """

    def __init__(self, cache: CachePort, clock: Clock) -> None:
        self._cache, self._clock = cache, clock
        # When stores were last found unreachable, and why.
        self._down: dict[str, tuple[datetime, str]] = {}
        # Which bytes, by their BLAKE3, were found to come to which declared checksums: a store may
        # tell the same of others.
        self._matched: set[tuple[str, Checksum]] = set()

    def decide(
        self,
        dataset: Dataset,
        identity: str,
        refresh: bool,  # noqa: FBT001 - by place: it is a part of every warm hit
        offline: bool,  # noqa: FBT001 - likewise
    ) -> CacheEntry | Question:
        """The entry that is served, and nobody asked; or what its store is to be asked."""
        uri = dataset.source
        known, begun = self._cache.current(identity, uri), self._clock()
        if known is not None and not refresh:
            if dataset.checksum is not None:
                if self.is_as_declared(known, dataset):  # no store could say anything against it
                    return known
            elif is_fresh(known.checked_at, dataset.freshness, begun) or is_named(known, uri):
                return known
        old_will_do = not refresh and (offline or dataset.on_unreachable == "stale")
        refusal: StorageUnavailableError | None = _refusal_offline(uri) if offline else None
        if refusal is None and old_will_do and known is not None:
            refusal = self._recent_failure(uri, begun)
        return Question(known, begun, old_will_do, refusal)

    def instead(self, dataset: Dataset, identity: str, question: Question) -> CacheEntry | None:
        """What is served where the store was not asked, or did not answer; None for nothing."""
        if not question.old_will_do:
            return None
        entry = self._cache.current(identity, dataset.source)
        return None if entry is None or not self.is_as_declared(entry, dataset) else entry

    def is_as_declared(self, entry: CacheEntry, dataset: Dataset) -> bool:
        """Whether an entry has the dataset's checksum, if it has one. It is read once for that."""
        if dataset.checksum is None or (entry.digest, dataset.checksum) in self._matched:
            return True
        if not self._cache.matches(entry, dataset.checksum):
            return False
        self._matched.add((entry.digest, dataset.checksum))
        return True

    def note_down(self, uri: Uri, failure: StorageUnavailableError) -> None:
        """Has nobody wait for this store again within the next seconds, where a copy will do.

        Not where it is another one that failed, behind it: who else asks need not need that one.
        """
        if isinstance(failure.__cause__, StorageUnavailableError):
            return
        self._down[_store(uri)] = (self._clock(), failure.detail)

    def _recent_failure(self, uri: Uri, now: datetime) -> StorageUnavailableError | None:
        """Why its store was not reached a moment ago: not every dataset needs to wait for it."""
        since, detail = self._down.get(_store(uri), (None, ""))
        if since is None or not timedelta(0) <= now - since < _DOWN_FOR:
            return None
        return StorageUnavailableError(str(uri), detail)


def is_named(entry: CacheEntry, uri: Uri) -> bool:
    """Whether an entry is the snapshot, which never changes, that a source names."""
    if uri.scheme != TABLES:  # most are not, and this is a part of every warm hit
        return False
    _, snapshot_id = uri.table or (None, None)
    return snapshot_id is not None and snapshot_id == entry.info.version


def undeclared(dataset: Dataset) -> IntegrityError:
    """The error where the store holds what is cached, and that is not what was declared."""
    detail = f"it is what is cached already, and {dataset.checksum} is declared"
    return IntegrityError(str(dataset.source), detail)


def refuse_offline(uri: Uri, *, offline: bool) -> None:
    """Raises `OfflineError` where a store that is reached by a network would be asked offline."""
    if offline and (error := _refusal_offline(uri)):
        raise error


def _refusal_offline(uri: Uri) -> OfflineError | None:
    """Why this may not be asked for offline; nothing is wrong with what is on this machine."""
    return None if uri.scheme == "file" else OfflineError(str(uri))


def _store(uri: Uri) -> str:
    return f"{uri.scheme}://{uri.authority}"

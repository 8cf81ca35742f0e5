"""How one dataset is fetched: served, asked for on a condition, or downloaded."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from datacachalog.application.callers import warn_caller
from datacachalog.application.deciding import Question, refuse_offline, undeclared
from datacachalog.application.downloading import Downloading
from datacachalog.application.results import Fetched, Outcome, StaleWarning
from datacachalog.domain.errors import RemoteChangedError, StorageUnavailableError
from datacachalog.domain.objects import NotModified, is_immutable_version
from datacachalog.domain.versions import version_at
from datacachalog.ports import HistoryPort

if TYPE_CHECKING:
    from datacachalog.application.deciding import Deciding
    from datacachalog.domain.dataset import Dataset
    from datacachalog.domain.objects import CacheEntry, ObjectInfo, Revision
    from datacachalog.domain.uri import Uri
    from datacachalog.ports import CachePort, Clock, ProgressPort, StoragePort

_LOCK_WAIT = timedelta(minutes=10)


class Fetching:
    """What `Catalog.fetch` does for each dataset. Threads may share one."""

    def __init__(
        self, storage: StoragePort, cache: CachePort, clock: Clock, deciding: Deciding
    ) -> None:
        self._storage, self._cache, self._clock = storage, cache, clock
        self._deciding, self._downloading = deciding, Downloading(storage, cache, clock)
        # To tell the same anew takes a twentieth of a warm hit.
        self._served: dict[str, Fetched] = {}

    def fetch(
        self,
        dataset: Dataset,
        version: str | None,
        as_of: datetime | None,
        refresh: bool,  # noqa: FBT001 - as `Catalog` calls it, for speed
        offline: bool,  # noqa: FBT001 - likewise
        progress: ProgressPort,
    ) -> Fetched:
        """What `Catalog.fetch` does, of the revision that is asked for."""
        if as_of is not None:
            if version is not None:
                raise ValueError("give version or as_of, not both")
            if not isinstance(as_of, datetime):
                raise TypeError(f"as_of must be a datetime with a timezone, not {as_of!r}")
            if as_of.tzinfo is None:
                raise ValueError("as_of must be aware: give it a timezone")
            return self.as_of(dataset, as_of, progress, offline=offline)
        if version is not None:
            return self.version(dataset, version, progress, offline=offline)
        return self.current(dataset, progress, refresh=refresh, offline=offline)

    def current(
        self, dataset: Dataset, progress: ProgressPort, *, refresh: bool, offline: bool
    ) -> Fetched:
        """The object as it is now, or was when the dataset's freshness last wanted to know.

        Where its store cannot be asked, a cached copy will do, unless the dataset or `refresh`
        want none that may be out of date.
        """
        uri, identity = dataset.source, self._storage.identity(dataset.source)
        decided = self._deciding.decide(dataset, identity, refresh, offline)
        if not isinstance(decided, Question):
            served = self._served.get(dataset.name)
            if served is None or served.entry is not decided:
                served = Fetched(dataset.name, Outcome.CACHED, decided)
                self._served[dataset.name] = served
            return served
        error = decided.refusal
        if error is None:
            try:
                return self._ask_in_turn(dataset, identity, decided, progress)
            except StorageUnavailableError as failure:
                self._deciding.note_down(uri, failure)
                error = failure
        entry = self._deciding.instead(dataset, identity, decided)
        if entry is None:
            raise error
        return _stale(dataset.name, entry, error)

    def _ask_in_turn(
        self,
        dataset: Dataset,
        identity: str,
        question: Question,
        progress: ProgressPort,
    ) -> Fetched:
        """Asks the store, unless somebody else does."""
        uri, known, begun = dataset.source, question.known, question.begun
        with self._cache.alone(identity, uri, _LOCK_WAIT):
            entry = self._cache.current(identity, uri)
            # Whoever was here before may have asked the store after we were called: that answer
            # is as good as one of our own. An older one is not: the object may have changed. Nor is
            # one from the future, or that we knew: some clock is wrong.
            if (
                entry is not None
                and begun <= entry.checked_at <= self._clock()
                and entry != known
                and self._deciding.is_as_declared(entry, dataset)
            ):
                return Fetched(dataset.name, Outcome.UNCHANGED, entry)
            return self._ask(dataset, identity, entry, progress)

    def _ask(
        self, dataset: Dataset, identity: str, entry: CacheEntry | None, progress: ProgressPort
    ) -> Fetched:
        unless = None if entry is None else entry.revision
        with self._downloading.arrived(dataset, progress, unless=unless) as arrival:
            if not isinstance(arrival.answer, NotModified):
                published = arrival.publish(current=True, checksum=dataset.checksum)
                return Fetched(dataset.name, Outcome.DOWNLOADED, published)
            if entry is not None and not self._deciding.is_as_declared(entry, dataset):
                raise undeclared(dataset)
            confirmed = None if entry is None else self._cache.confirm(entry, arrival.asked_at)
        if confirmed is not None:
            return Fetched(dataset.name, Outcome.UNCHANGED, confirmed)
        # The entry was removed between our look and the answer: ask again, for the bytes too.
        return self._ask(dataset, identity, None, progress)

    def version(
        self,
        dataset: Dataset,
        version: str,
        progress: ProgressPort,
        expected: Revision | None = None,
        *,
        offline: bool,
    ) -> Fetched:
        """One version of the object, of which no checksum is declared; what is current stays so."""
        uri, identity = dataset.source, self._storage.identity(dataset.source)
        if (entry := self._cached_version(identity, dataset, version)) is not None:
            return Fetched(dataset.name, Outcome.CACHED, entry)
        refuse_offline(uri, offline=offline)
        with self._cache.alone(identity, uri, _LOCK_WAIT):
            if (entry := self._cached_version(identity, dataset, version)) is not None:
                return Fetched(dataset.name, Outcome.CACHED, entry)
            with self._downloading.arrived(dataset, progress, version=version) as arrival:
                if expected is not None and not arrival.info.revision.same_bytes(expected):
                    raise RemoteChangedError(str(uri), "the version was replaced meanwhile")
                entry = arrival.publish(current=False)
        return Fetched(dataset.name, Outcome.DOWNLOADED, entry)

    def _cached_version(self, identity: str, dataset: Dataset, version: str) -> CacheEntry | None:
        if not is_immutable_version(version):
            return None
        return self._cache.find(identity, dataset.source, version)

    def as_of(
        self, dataset: Dataset, as_of: datetime, progress: ProgressPort, *, offline: bool
    ) -> Fetched:
        """The version that was current at a time."""
        refuse_offline(dataset.source, offline=offline)
        chosen = self._version_at(dataset.source, as_of)
        if chosen.version is not None:
            return self.version(dataset, chosen.version, progress, chosen.revision, offline=offline)
        # The store keeps one version: the current object is the chosen one, if it still is.
        fetched = self.current(dataset, progress, refresh=True, offline=offline)
        if not fetched.entry.revision.same_bytes(chosen.revision):
            raise RemoteChangedError(str(dataset.source), "it was replaced meanwhile")
        return fetched

    def _version_at(self, uri: Uri, as_of: datetime) -> ObjectInfo:
        if isinstance(self._storage, HistoryPort):
            return self._storage.version_at(uri, as_of)
        return version_at(uri, self._storage.versions(uri), as_of)


def _stale(name: str, entry: CacheEntry, error: StorageUnavailableError) -> Fetched:
    told = f"{name!r} may be out of date, as of {entry.checked_at:%Y-%m-%d %H:%M} UTC: {error}"
    warn_caller(told, StaleWarning)
    return Fetched(name, Outcome.STALE, entry, error)

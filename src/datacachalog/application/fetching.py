"""How one dataset is fetched: served, asked for on a condition, or downloaded."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from datacachalog.application.results import Fetched, Outcome
from datacachalog.domain.errors import RemoteChangedError
from datacachalog.domain.freshness import ALWAYS, Serve, plan_fetch
from datacachalog.domain.objects import NotModified, is_immutable_version
from datacachalog.domain.versions import version_at

if TYPE_CHECKING:
    from datetime import datetime

    from datacachalog.domain.dataset import Dataset
    from datacachalog.domain.objects import CacheEntry, Revision
    from datacachalog.ports import CachePort, Clock, ProgressPort, StoragePort

_LOCK_WAIT = timedelta(minutes=10)


class Fetching:
    """What `Catalog.fetch` does for each dataset. Threads may share one."""

    def __init__(self, storage: StoragePort, cache: CachePort, clock: Clock) -> None:
        self._storage, self._cache, self._clock = storage, cache, clock

    def current(self, dataset: Dataset, progress: ProgressPort, *, refresh: bool) -> Fetched:
        """The object as it is now, or was when the dataset's freshness last wanted to know."""
        uri, identity = dataset.source, self._storage.identity(dataset.source)
        known, begun = self._cache.current(identity, uri), self._clock()
        if not refresh and dataset.freshness != ALWAYS:
            plan = plan_fetch(known, dataset.freshness, begun)
            if isinstance(plan, Serve):
                return Fetched(dataset.name, Outcome.CACHED, plan.entry)
        with self._cache.alone(identity, uri, _LOCK_WAIT):
            entry = self._cache.current(identity, uri)
            # Whoever was here before may have asked the store after we were called: that answer
            # is as good as one of our own. An older one is not: the object may have changed. Nor is
            # one from the future, or that we knew: some clock is wrong.
            if entry is not None and begun <= entry.checked_at <= self._clock() and entry != known:
                return Fetched(dataset.name, Outcome.UNCHANGED, entry)
            return self._ask(dataset, identity, entry, progress)

    def _ask(
        self, dataset: Dataset, identity: str, entry: CacheEntry | None, progress: ProgressPort
    ) -> Fetched:
        uri = dataset.source
        with (
            self._cache.staging(identity, uri) as staging,
            progress.transfer(dataset.name) as transfer,
        ):
            asked = self._clock()
            unless = None if entry is None else entry.revision
            got = self._storage.download(uri, staging.path, unless=unless, progress=transfer)
            if not isinstance(got, NotModified):
                published = staging.publish(got, checked_at=asked, current=True)
                return Fetched(dataset.name, Outcome.DOWNLOADED, published)
            confirmed = None if entry is None else self._cache.confirm(entry, asked)
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
    ) -> Fetched:
        """One version of the object; what is current stays so."""
        uri, identity = dataset.source, self._storage.identity(dataset.source)
        if (entry := self._cached_version(identity, dataset, version)) is not None:
            return Fetched(dataset.name, Outcome.CACHED, entry)
        with self._cache.alone(identity, uri, _LOCK_WAIT):
            if (entry := self._cached_version(identity, dataset, version)) is not None:
                return Fetched(dataset.name, Outcome.CACHED, entry)
            with (
                self._cache.staging(identity, uri) as staging,
                progress.transfer(dataset.name) as transfer,
            ):
                asked = self._clock()
                got = self._storage.download(uri, staging.path, version=version, progress=transfer)
                assert not isinstance(got, NotModified), "no revision was offered"  # noqa: S101 - for the type checker
                if expected is not None and not got.revision.same_bytes(expected):
                    raise RemoteChangedError(str(uri), "the version was replaced meanwhile")
                entry = staging.publish(got, checked_at=asked, current=False)
        return Fetched(dataset.name, Outcome.DOWNLOADED, entry)

    def _cached_version(self, identity: str, dataset: Dataset, version: str) -> CacheEntry | None:
        if not is_immutable_version(version):
            return None
        return self._cache.find(identity, dataset.source, version)

    def as_of(self, dataset: Dataset, as_of: datetime, progress: ProgressPort) -> Fetched:
        """The version that was current at a time."""
        chosen = version_at(dataset.source, self._storage.versions(dataset.source), as_of)
        if chosen.version is not None:
            return self.version(dataset, chosen.version, progress, chosen.revision)
        # The store keeps one version: the current object is the chosen one, if it still is.
        fetched = self.current(dataset, progress, refresh=True)
        if not fetched.entry.revision.same_bytes(chosen.revision):
            raise RemoteChangedError(str(dataset.source), "it was replaced meanwhile")
        return fetched

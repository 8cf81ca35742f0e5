"""The catalog's use cases: fetch, push, compare.

Where bytes come from and where they are kept is behind the ports. Finding `catalog.yaml` and
choosing adapters is not here but in `datacachalog.bootstrap`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from datacachalog.application.batch import for_each
from datacachalog.application.deciding import Deciding, refuse_offline
from datacachalog.application.examining import Examining
from datacachalog.application.explaining import Explaining
from datacachalog.application.explanations import Forecast
from datacachalog.application.fetchable import FetchableDatasets
from datacachalog.application.fetching import Fetching
from datacachalog.application.housekeeping import Housekeeping
from datacachalog.application.locking import Lockfile, Locking
from datacachalog.application.pushing import Pushing, refuse_read_only
from datacachalog.application.recording import record_write
from datacachalog.application.results import State
from datacachalog.application.viewing import Viewing, refuse_collisions
from datacachalog.domain.housekeeping import NO_BOUNDS
from datacachalog.domain.sizes import parse_bytes

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from datetime import timedelta

    from datacachalog.application.explanations import Explanation
    from datacachalog.application.pushing import Expect
    from datacachalog.application.results import (
        Collected,
        DatasetStatus,
        Locked,
        PushResult,
        Verified,
    )
    from datacachalog.domain.dataset import Dataset
    from datacachalog.domain.housekeeping import Bounds
    from datacachalog.domain.objects import ObjectInfo
    from datacachalog.ports import CachePort, Clock, ProgressPort, StoragePort, ViewPort


class CoreCatalog(FetchableDatasets):
    """Named datasets, fetched through a cache. Threads may share one.

    Raises:
        DatasetNameError: two datasets have one name, or one link in the view.
    """

    def __init__(
        self,
        datasets: Iterable[Dataset],
        *,
        storage: StoragePort,
        cache: CachePort,
        clock: Clock,
        progress: ProgressPort | None = None,
        view: ViewPort | None = None,
        offline: bool = False,
        bounds: Bounds = NO_BOUNDS,
        lockfile: Lockfile | None = None,
    ) -> None:
        deciding = Deciding(cache, clock)
        super().__init__(
            datasets,
            cache=cache,
            fetching=Fetching(storage, cache, clock, deciding),
            locking=Locking(lockfile or Lockfile(None, {}), deciding, storage, cache, clock),
            housekeeping=Housekeeping(cache, clock, bounds),
            viewing=None if view is None else Viewing(view, storage, cache),
            progress=progress,
            offline=offline,
        )
        if view is not None:
            refuse_collisions(self.datasets)
        self.storage, self.view = storage, view
        self._pushing = Pushing(storage, cache, clock)
        self._examining = Examining(storage, cache)
        self._explaining = Explaining(storage, cache, clock, deciding)

    def push(
        self,
        name: str,
        path: str | os.PathLike[str],
        *,
        expect: Expect = "cached",
        progress: ProgressPort | None = None,
    ) -> PushResult:
        """Replaces the dataset's object by a local file, never over somebody else's change.

        `expect` is what may be replaced: `cached`, the revision that this catalog last fetched,
        or else the one that the cache did (nothing, where neither has); `absent`, nothing; a
        `Revision`; or `any`. The file is copied into the cache, so that the next fetch moves no
        bytes; the original stays yours. To push to a table is to upload a new object and to
        register it as the table's next snapshot.

        Raises:
            ConflictError: the object is not what was expected. Nothing was written.
            JobFailedError: the registry refuses the file as a snapshot; its `code` says why.
            LocalFileError: `path` is not a file that can be read.
            ReadOnlyDatasetError: the catalog says `push: false`, or declares a checksum.
            UnsupportedOperationError: the store cannot promise not to overwrite; `any` still can.
        """
        dataset, shown = self[name], progress or self._progress
        refuse_read_only(dataset)
        refuse_offline(dataset.source, offline=self.offline)
        result = self._pushing.push(dataset, Path(path), expect, self._seen.get(name), shown)
        self._seen[name] = result.entry
        self.cache.hold(result.entry)
        self._housekeeping.keep_within_bounds({result.entry.revision_id})
        record_write(dataset, result)
        return result if self._viewing is None else self._viewing.shown(dataset, result)

    def is_stale(self, name: str) -> bool:
        """Whether a fetch would move bytes: nothing is cached, or the store holds another revision.

        Asks the store, whatever the dataset's freshness, and changes nothing.
        """
        status = self._status_of(name)
        if status.error is not None:
            raise status.error
        return status.state is not State.CURRENT

    def status(self, names: Iterable[str] | None = None) -> tuple[DatasetStatus, ...]:
        """How each cached copy compares with its store now; all datasets without `names`.

        Stores are asked in parallel. One that does not answer gives `State.UNKNOWN` and its
        error; only an unknown name raises.
        """
        wanted = tuple(self[name].name for name in self._all_or(names))
        results, _ = for_each(self._status_of, wanted)
        return tuple(results[name] for name in wanted)

    def why(
        self,
        name: str,
        *,
        refresh: bool = False,
        offline: bool | None = None,
        locked: bool = False,
    ) -> Explanation:
        """What a `fetch` with these options would do now, and why; `str()` of it is a sentence.

        Decides as `fetch` does. Asks the store where that would, once and for no bytes, and changes
        nothing in the cache. Only an unknown name raises, and `locked` with `refresh`.

        >>> from datacachalog import Catalog, Dataset
        >>> catalog = Catalog([Dataset("customers", "data/no-such.csv")])
        >>> catalog.why("customers").reason.value
        'refused'
        """
        dataset, alone = self[name], self.offline if offline is None else offline
        if not locked:
            return self._explaining.explain(dataset, refresh=refresh, offline=alone)
        if refresh:
            raise ValueError("locked goes with none of version, as_of and refresh")
        return self._locking.explain(dataset, offline=alone)

    def plan(
        self,
        names: Iterable[str] | None = None,
        *,
        refresh: bool = False,
        offline: bool | None = None,
        locked: bool = False,
    ) -> Forecast:
        """What a `fetch_all` with these options would do now: what would be downloaded, how much.

        It is what `why` says of each dataset, of all without `names`; stores are asked in parallel.
        """
        wanted = dict.fromkeys(self[name].name for name in self._all_or(names))
        why = partial(self.why, refresh=refresh, offline=offline, locked=locked)
        results, _ = for_each(why, wanted)
        return Forecast(tuple(results.values()))

    def verify(
        self,
        names: Iterable[str] | None = None,
        *,
        repair: bool = False,
        progress: ProgressPort | None = None,
    ) -> tuple[Verified, ...]:
        """Reads every byte of the cached copies, all without `names`, and removes damaged ones.

        Several at a time; `progress` shows the reading. No store is asked, unless `repair` fetches
        again what was damaged. Only an unknown name raises.
        """
        wanted, shown = tuple(self[n].name for n in self._all_or(names)), progress or self._progress
        mend = (lambda name: self.obtain(name, progress=shown).entry) if repair else None
        results, _ = for_each(lambda name: self._examining.verify(self[name], mend, shown), wanted)
        return tuple(results[name] for name in wanted)

    def gc(
        self,
        *,
        older_than: timedelta | None = None,
        max_size: int | str | None = None,
        dry_run: bool = False,
    ) -> Collected:
        """Removes what nobody needs from the cache, also what other catalogs keep in it.

        Without options, superseded revisions. `older_than` removes instead whatever was not used
        for so long; `max_size`, in bytes or as `20GB`, what was least recently used, until the
        rest fits (the catalog's own bounds, unless given). What a living process has fetched or
        pinned stays, and so does a current revision that was used within the last hour.
        `dry_run` only tells what would go.

        Raises:
            CacheError: the cache may not be written.
            ValueError: `max_size` is no size.
        """
        return self._housekeeping.collect(
            unused_for=older_than,
            max_bytes=None if max_size is None else parse_bytes(str(max_size)),
            dry_run=dry_run,
        )

    def lock(
        self,
        names: Iterable[str] | None = None,
        *,
        upgrade: bool | Iterable[str] = (),
        check: bool = False,
        progress: ProgressPort | None = None,
    ) -> tuple[Locked, ...]:
        """Writes down, in `catalog.lock`, the exact bytes that datasets have; all without `names`.

        What is locked stays so as long as its source does; `upgrade` names datasets that move to
        their current objects, True moves all that are locked here. What is locked anew is fetched.
        Without `names`, what the catalog has no more is dropped. The lockfile is replaced whole.

        `check` changes nothing and asks no store: it tells what would change, `UNCHANGED` of
        every dataset where the lockfile fits the catalog.

        Raises:
            FetchAllError: some could not be fetched. The lockfile is as it was.
            LockfileError: the lockfile cannot be read or written.
            LockfileNotFoundError: with `check`, there is none; or the catalog was made in Python.
            ValueError: `check` and `upgrade` are both given.
        """
        if check and upgrade:
            raise ValueError("check changes nothing: give it without upgrade")
        wanted = None if names is None else self._known(names)
        if check:
            return self._locking.check(self._datasets, wanted)
        moved = self._known(wanted) if upgrade is True else self._known(upgrade or ())
        bring = partial(self.obtain_all, refresh=True, progress=progress)
        return self._locking.lock(self._datasets, wanted, moved, bring)

    def versions(self, name: str) -> tuple[ObjectInfo, ...]:
        """Every version of the dataset's object that its store keeps, newest first."""
        source = self[name].source
        refuse_offline(source, offline=self.offline)
        return tuple(self.storage.versions(source))

    def invalidate(self, name: str) -> bool:
        """Has the next fetch download the dataset anew; whether a copy was current.

        Paths that were handed out stay readable.
        """
        source = self[name].source
        return self.cache.forget(self.storage.identity(source), source)

    def _known(self, names: Iterable[str] | None) -> tuple[str, ...]:
        """The names, once it is sure that there are such datasets; all where they are None."""
        return tuple(self[name].name for name in self._all_or(names))

    def _status_of(self, name: str) -> DatasetStatus:
        return self._examining.status(self[name], offline=self.offline)

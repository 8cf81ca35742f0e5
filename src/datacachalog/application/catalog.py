"""The catalog's use cases: fetch, push, compare.

Where bytes come from and where they are kept is behind the ports. Finding `catalog.yaml` and
choosing adapters is not here but in `datacachalog.bootstrap`.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from datacachalog.application.batch import for_each, works_elsewhere
from datacachalog.application.deciding import Deciding, refuse_offline
from datacachalog.application.examining import Examining
from datacachalog.application.explaining import Explaining
from datacachalog.application.explanations import Forecast
from datacachalog.application.fetching import Fetching
from datacachalog.application.housekeeping import Housekeeping
from datacachalog.application.lockable import LockableDatasets
from datacachalog.application.locking import Lockfile, Locking
from datacachalog.application.pushing import Pushing, refuse_read_only
from datacachalog.application.results import Outcome, State
from datacachalog.application.viewing import Viewing, refuse_collisions
from datacachalog.domain.errors import FetchAllError
from datacachalog.domain.housekeeping import NO_BOUNDS
from datacachalog.domain.sizes import parse_bytes
from datacachalog.ports import SilentProgress

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Executor
    from datetime import datetime, timedelta

    from datacachalog.application.explanations import Explanation
    from datacachalog.application.options import FetchAllOptions, FetchOptions
    from datacachalog.application.pushing import Expect
    from datacachalog.application.results import (
        Collected,
        DatasetStatus,
        Fetched,
        PushResult,
        Verified,
    )
    from datacachalog.domain.dataset import Dataset
    from datacachalog.domain.errors import DatacachalogError
    from datacachalog.domain.housekeeping import Bounds
    from datacachalog.domain.objects import ObjectInfo, Revision
    from datacachalog.ports import CachePort, Clock, ProgressPort, StoragePort, ViewPort


class CoreCatalog(LockableDatasets):
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
        super().__init__(datasets)
        if view is not None:
            refuse_collisions(self.datasets)
        self.storage, self.cache, self.view = storage, cache, view
        self.offline = offline
        deciding = Deciding(cache, clock)
        self._fetching = Fetching(storage, cache, clock, deciding)
        self._pushing = Pushing(storage, cache, clock)
        self._housekeeping = Housekeeping(cache, clock, bounds)
        self._examining = Examining(storage, cache)
        lockfile = lockfile or Lockfile(None, {})
        self._locking = Locking(lockfile, deciding, storage, cache, clock)
        self._explaining = Explaining(storage, cache, clock, deciding)
        self._viewing = Viewing(view, storage, cache)
        self._progress = progress or SilentProgress()
        # What each dataset's latest fetch or push here was of: others may move the cache on.
        self._seen: dict[str, Revision] = {}

    def fetch(
        self,
        name: str,
        *,
        version: str | None = None,
        as_of: datetime | None = None,
        refresh: bool = False,
        offline: bool | None = None,
        locked: bool = False,
        progress: ProgressPort | None = None,
    ) -> Path:
        """The local path of a dataset, downloaded only where the cached copy is not current.

        The file at the path never changes and keeps its original name; a newer revision gets a
        new path. `version` is the store's version id, `as_of` the time (aware) at which the
        wanted version was current. `refresh` asks the store even where the dataset's freshness
        would not. `offline` asks no store that is reached by a network: what is cached is served,
        however old; it is the catalog's `offline` unless given. `locked` gives exactly the bytes
        that `catalog.lock` has of the dataset: from the cache without asking, or from the store.

        Where the store cannot be reached, a cached copy is served with a `StaleWarning`, unless
        the dataset says `on_unreachable: fail`, or `refresh` is given.

        Raises:
            DatasetNotFoundError: the catalog has no dataset of that name.
            OfflineError: it is offline, and not cached.
            StorageError: the store did not give it; `StoragePort` lists the kinds.
            CacheError: the cache is full, or may not be written.
            IntegrityError: the bytes do not come to the dataset's `checksum`.
            LockMismatchError: with `locked`: it is not locked, or the store has other bytes now.
            LockfileNotFoundError: with `locked`: there is no lockfile.
            ValueError: `as_of` is not aware, or two of `version`, `as_of`, `locked` are given, or
                `locked` and `refresh`.

        >>> from datacachalog import Catalog, Dataset
        >>> catalog = Catalog([Dataset("customers", "data/customers.csv")])
        >>> catalog.fetch("customers").name
        'customers.csv'
        """
        fetched = self.obtain(
            name,
            version=version,
            as_of=as_of,
            refresh=refresh,
            offline=offline,
            locked=locked,
            progress=progress,
        )
        return fetched.path

    def obtain(
        self,
        name: str,
        *,
        version: str | None = None,
        as_of: datetime | None = None,
        refresh: bool = False,
        offline: bool | None = None,
        locked: bool = False,
        progress: ProgressPort | None = None,
    ) -> Fetched:
        """What `fetch` does, told in full: the path, its revision, and whether bytes moved."""
        fetched = self._hand_out(name, version, as_of, refresh, offline, locked, progress)
        if fetched.outcome is Outcome.DOWNLOADED:
            self._housekeeping.keep_within_bounds({fetched.entry.revision_id})
        return fetched

    def _hand_out(
        self,
        name: str,
        version: str | None,
        as_of: datetime | None,
        refresh: bool,  # noqa: FBT001 - by place: it is the greater part of a warm hit
        offline: bool | None,  # noqa: FBT001 - likewise
        locked: bool,  # noqa: FBT001 - likewise
        progress: ProgressPort | None,
    ) -> Fetched:
        alone, shown = self.offline if offline is None else offline, progress or self._progress
        asked = (self[name], version, as_of, refresh, alone, shown)
        bring = self._locking.fetch if locked else self._fetching.fetch
        fetched = self._housekeeping.hand_out(bring, asked)
        if version is None and as_of is None:
            self._seen[name] = fetched.entry.revision
            if self.view is not None and not locked:
                return self._viewing.shown(self[name], fetched, stack=5)
        return fetched

    @contextmanager
    def pinned(self, name: str, **options: Unpack[FetchOptions]) -> Iterator[Path]:
        """A dataset's local path that no housekeeping removes before the block ends.

        Options and errors are those of `fetch`.

        >>> from datacachalog import Catalog, Dataset
        >>> catalog = Catalog([Dataset("customers", "data/customers.csv")])
        >>> with catalog.pinned("customers") as path:
        ...     path.is_file()
        True
        """
        with ExitStack() as stack:
            is_here = False
            while not is_here:  # somebody may remove it before the pin is seen
                fetched = self.obtain(name, **options)
                is_here = stack.enter_context(self.cache.pin(fetched.entry))
            yield fetched.path

    def files(self, name: str, **options: Unpack[FetchOptions]) -> tuple[Path, ...]:
        """The local files of a dataset; options and errors are those of `fetch`."""
        return (self.fetch(name, **options),)

    def fetch_all(
        self, names: Iterable[str] | None = None, **options: Unpack[FetchAllOptions]
    ) -> dict[str, Path]:
        """The local paths of many datasets, of all where no names are given, in that order.

        They are fetched in parallel, by at most `max_workers` threads (16) or by any `executor`
        from `concurrent.futures`, which is left open. The other options are those of `fetch`.

        Raises:
            FetchAllError: some failed. All are tried; it holds the failures and the paths.
        """
        return {name: one.path for name, one in self.obtain_all(names, **options).items()}

    def obtain_all(
        self, names: Iterable[str] | None = None, **options: Unpack[FetchAllOptions]
    ) -> dict[str, Fetched]:
        """What `fetch_all` does, told in full."""
        fetched, failures = self.try_all(names, **options)
        if failures:
            raise FetchAllError(failures, {name: one.path for name, one in fetched.items()})
        return fetched

    def try_all(
        self,
        names: Iterable[str] | None = None,
        *,
        version: str | None = None,
        as_of: datetime | None = None,
        refresh: bool = False,
        offline: bool | None = None,
        locked: bool = False,
        max_workers: int | None = None,
        executor: Executor | None = None,
        progress: ProgressPort | None = None,
    ) -> tuple[dict[str, Fetched], dict[str, DatacachalogError]]:
        """What `fetch_all` does, told in full: what is here now, and what failed and why."""
        if works_elsewhere(executor):
            progress = SilentProgress()  # nothing to show from inside another process
        work = partial(
            self._hand_out,
            version=version,
            as_of=as_of,
            refresh=refresh,
            offline=offline,
            locked=locked,
            progress=progress,
        )
        wanted = self._all_or(names)
        fetched, failures = for_each(work, wanted, max_workers=max_workers, executor=executor)
        if any(one.outcome is Outcome.DOWNLOADED for one in fetched.values()):
            kept = {one.entry.revision_id for one in fetched.values()}
            self._housekeeping.keep_within_bounds(kept)
        return fetched, failures

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
        bytes; the original stays yours.

        Raises:
            ConflictError: the object is not what was expected. Nothing was written.
            LocalFileError: `path` is not a file that can be read.
            ReadOnlyDatasetError: the catalog says `push: false`, or declares a checksum.
            UnsupportedOperationError: the store cannot promise not to overwrite; `any` still can.
        """
        dataset, shown = self[name], progress or self._progress
        refuse_read_only(dataset)
        refuse_offline(dataset.source, offline=self.offline)
        result = self._pushing.push(dataset, Path(path), expect, self._seen.get(name), shown)
        self._seen[name] = result.entry.revision
        self.cache.hold(result.entry)
        self._housekeeping.keep_within_bounds({result.entry.revision_id})
        return self._viewing.shown(dataset, result, stack=3)

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

    def why(self, name: str, *, refresh: bool = False, offline: bool | None = None) -> Explanation:
        """What a `fetch` with these options would do now, and why; `str()` of it is a sentence.

        Decides as `fetch` does. Asks the store where that would, once and for no bytes, and changes
        nothing in the cache. Only an unknown name raises.

        >>> from datacachalog import Catalog, Dataset
        >>> catalog = Catalog([Dataset("customers", "data/no-such.csv")])
        >>> catalog.why("customers").reason.value
        'refused'
        """
        alone = self.offline if offline is None else offline
        return self._explaining.explain(self[name], refresh=refresh, offline=alone)

    def plan(
        self,
        names: Iterable[str] | None = None,
        *,
        refresh: bool = False,
        offline: bool | None = None,
    ) -> Forecast:
        """What a `fetch_all` with these options would do now: what would be downloaded, how much.

        It is what `why` says of each dataset, of all without `names`; stores are asked in parallel.
        """
        wanted = dict.fromkeys(self[name].name for name in self._all_or(names))
        results, _ = for_each(partial(self.why, refresh=refresh, offline=offline), wanted)
        return Forecast(tuple(results.values()))

    def verify(
        self, names: Iterable[str] | None = None, *, repair: bool = False
    ) -> tuple[Verified, ...]:
        """Reads every byte of the cached copies, all without `names`, and removes damaged ones.

        Several at a time. No store is asked, unless `repair` fetches again what was damaged. Only
        an unknown name raises.
        """
        wanted = tuple(self[name].name for name in self._all_or(names))
        mend = (lambda name: self.obtain(name).entry) if repair else None
        results, _ = for_each(lambda name: self._examining.verify(self[name], mend), wanted)
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

    def _status_of(self, name: str) -> DatasetStatus:
        return self._examining.status(self[name], offline=self.offline)

"""Datasets that can be fetched: every way in which a catalog hands out paths."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Unpack

from datacachalog.application.batch import for_each, works_elsewhere
from datacachalog.application.naming import NamedDatasets
from datacachalog.application.recording import record_reads
from datacachalog.application.results import Outcome
from datacachalog.domain.errors import FetchAllError
from datacachalog.ports import SilentProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from concurrent.futures import Executor
    from datetime import datetime
    from pathlib import Path

    from datacachalog.application.fetching import Fetching
    from datacachalog.application.housekeeping import Housekeeping
    from datacachalog.application.locking import Locking
    from datacachalog.application.options import FetchAllOptions, FetchOptions
    from datacachalog.application.results import Fetched
    from datacachalog.application.viewing import Viewing
    from datacachalog.domain.dataset import Dataset
    from datacachalog.domain.errors import DatacachalogError
    from datacachalog.domain.objects import CacheEntry
    from datacachalog.ports import CachePort, ProgressPort


class FetchableDatasets(NamedDatasets):
    """Named datasets and what their fetching needs. Threads may share one."""

    def __init__(
        self,
        datasets: Iterable[Dataset],
        *,
        cache: CachePort,
        fetching: Fetching,
        locking: Locking,
        housekeeping: Housekeeping,
        viewing: Viewing | None,
        progress: ProgressPort | None,
        offline: bool,
    ) -> None:
        super().__init__(datasets)
        self.cache, self.offline = cache, offline
        self._fetching, self._locking = fetching, locking
        self._housekeeping, self._viewing = housekeeping, viewing
        self._progress = progress or SilentProgress()
        # What each dataset's latest fetch or push here was of: others may move the cache on.
        self._seen: dict[str, CacheEntry] = {}

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
            IntegrityError: the bytes do not come to the dataset's `checksum`, or the store's.
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
        record_reads(self._datasets, (fetched,))
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
        dataset = self[name]
        asked = (dataset, version, as_of, refresh, alone, shown)
        bring = self._locking.fetch if locked else self._fetching.fetch
        fetched = self._housekeeping.hand_out(bring, asked)
        if version is None and as_of is None:
            self._seen[name] = fetched.entry
            if self._viewing is not None and not locked:
                return self._viewing.shown(dataset, fetched)
        return fetched

    def _take_over(
        self,
        came: Mapping[str, Fetched],
        failures: dict[str, DatacachalogError],
        work: Callable[[str], Fetched],
        *,
        is_version: bool,
    ) -> tuple[dict[str, Fetched], dict[str, DatacachalogError]]:
        """Holds and knows here what other processes have fetched: this one may outlive them."""

        def taken_over(name: str) -> Fetched:
            fetched = came[name]
            if not self.cache.hold(fetched.entry):  # it was removed as that process ended
                return work(name)
            if not is_version:
                self._seen[name] = fetched.entry
            return fetched

        fetched, lost = for_each(taken_over, came)
        return fetched, failures | lost

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
        names = self._all_or(names)
        done = for_each(work, names, max_workers=max_workers, executor=executor)
        if works_elsewhere(executor):
            done = self._take_over(*done, work, is_version=bool(version or as_of))
        self._finish(done[0].values())
        return done

    def _finish(self, fetched: Collection[Fetched]) -> None:
        record_reads(self._datasets, fetched)
        if any(one.outcome is Outcome.DOWNLOADED for one in fetched):
            self._housekeeping.keep_within_bounds({one.entry.revision_id for one in fetched})

"""How a dataset's link in the view is kept at its current copy."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from datacachalog.application.callers import warn_caller
from datacachalog.application.results import Fetched, PushResult, ViewWarning
from datacachalog.domain.errors import DatasetNameError, ViewError
from datacachalog.domain.view import colliding, link_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datacachalog.domain.dataset import Dataset
    from datacachalog.domain.objects import CacheEntry
    from datacachalog.ports import CachePort, StoragePort, ViewPort

Done = TypeVar("Done", Fetched, PushResult)


class Viewing:
    """What `Catalog.fetch` and `Catalog.push` do at the end. Threads may share one."""

    def __init__(self, view: ViewPort, storage: StoragePort, cache: CachePort) -> None:
        self._view, self._storage, self._cache = view, storage, cache
        self._names: dict[tuple[str, str], str] = {}

    def shown(self, dataset: Dataset, done: Done) -> Done:
        """Has the dataset's link lead to its current copy; where it cannot, `done` says why.

        Whoever asked for the copy gets it all the same, and a warning.
        """
        error = self._show(dataset, done.entry)
        if error is None:
            return done
        warn_caller(str(error), ViewWarning)
        return replace(done, link_error=error)

    def _show(self, dataset: Dataset, entry: CacheEntry) -> ViewError | None:
        uri = dataset.source
        known = (dataset.name, entry.path.suffix)
        name = self._names.get(known) or self._names.setdefault(
            known, link_name(dataset, entry.path.name)
        )
        try:
            while self._view.show(name, entry.path):
                # Another process may have made a later revision current, and its link, since
                # `entry` was: then ours would stay for ever. Whoever changes a link looks again.
                now = self._cache.current(self._storage.identity(uri), uri)
                if now is None or now.path == entry.path:
                    break
                entry = now
        except ViewError as error:
            return error
        return None


def refuse_collisions(datasets: Iterable[Dataset]) -> None:
    """Raises `DatasetNameError` if two datasets would have one link."""
    if found := colliding(datasets):
        one, other, link = found
        problem = f"has the link {link!r} in the view, which is that of {one.name!r} too"
        raise DatasetNameError(other.name, problem)

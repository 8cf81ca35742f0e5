"""How one dataset is pushed: copied into the cache, uploaded on a condition, published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from datacachalog.application.results import PushResult
from datacachalog.domain.errors import CacheError, ReadOnlyDatasetError
from datacachalog.domain.objects import ABSENT, ANY, Revision

if TYPE_CHECKING:
    from pathlib import Path

    from datacachalog.domain.dataset import Dataset
    from datacachalog.domain.objects import CacheEntry, Expected
    from datacachalog.ports import CachePort, Clock, ProgressPort, StoragePort

Expect: TypeAlias = "Literal['cached', 'absent', 'any'] | Revision"


class Pushing:
    """What `Catalog.push` does for each dataset. Threads may share one."""

    def __init__(self, storage: StoragePort, cache: CachePort, clock: Clock) -> None:
        self._storage, self._cache, self._clock = storage, cache, clock

    def push(
        self,
        dataset: Dataset,
        path: Path,
        expect: Expect,
        seen: CacheEntry | None,
        progress: ProgressPort,
    ) -> PushResult:
        """Replaces the object; `seen` is the entry that this catalog last handed out, if any."""
        uri, identity = dataset.source, self._storage.identity(dataset.source)
        expected = _expected(expect, seen or self._cache.current(identity, uri))
        with (
            self._cache.staging(identity, uri) as staging,
            progress.transfer(dataset.name) as transfer,
        ):
            # The address of a table names no file: what it is called says what is in it.
            staging.copy_from(path, path.name if uri.table else None)
            asked = self._clock()
            info = self._storage.upload(staging.path, uri, expect=expected, progress=transfer)
            try:
                entry = staging.publish(info, checked_at=asked, current=True)
            except CacheError as error:
                told = f"{dataset.name!r} was pushed; only its copy in the cache was not kept"
                error.add_note(told)
                raise
        now = self._cache.current(identity, uri)
        if now is not None and now.revision_id != entry.revision_id:
            # Another process asked while the upload ran. Which came first only the store knows.
            self._cache.forget(identity, uri)
        return PushResult(dataset.name, entry)


def refuse_read_only(dataset: Dataset) -> None:
    """Raises `ReadOnlyDatasetError` where the catalog lets nobody push."""
    if not dataset.push:
        raise ReadOnlyDatasetError(dataset.name)
    if dataset.checksum is not None:
        raise ReadOnlyDatasetError(dataset.name, f"checksum: {dataset.checksum}")


def _expected(expect: Expect, entry: CacheEntry | None) -> Expected:
    if isinstance(expect, Revision):
        return expect
    match expect:
        case "any":
            return ANY
        case "absent":
            return ABSENT
        case "cached":
            return ABSENT if entry is None else entry.revision
    raise ValueError(f"expect must be 'cached', 'absent', 'any' or a Revision, not {expect!r}")

"""How cached copies are looked at: beside their stores, and byte by byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacachalog.application.deciding import refuse_offline
from datacachalog.application.results import DatasetStatus, Integrity, State, Verified
from datacachalog.domain.errors import DatacachalogError, IntegrityError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datacachalog.domain.dataset import Dataset
    from datacachalog.domain.objects import CacheEntry
    from datacachalog.ports import CachePort, ProgressPort, StoragePort


class Examining:
    """What `Catalog.status` and `Catalog.verify` do for each dataset. Threads may share one."""

    def __init__(self, storage: StoragePort, cache: CachePort) -> None:
        self._storage, self._cache = storage, cache

    def status(self, dataset: Dataset, *, offline: bool) -> DatasetStatus:
        """How the cached copy compares with the store now."""
        name, source, entry = dataset.name, dataset.source, None
        try:
            entry = self._cache.current(self._storage.identity(source), source)
            refuse_offline(source, offline=offline)
            remote = self._storage.stat(source)
        except DatacachalogError as error:
            return DatasetStatus(name, State.UNKNOWN, source, entry, None, error)
        if entry is None:
            state = State.ABSENT
        elif entry.revision.same_bytes(remote.revision):
            state = State.CURRENT
        else:
            state = State.STALE
        return DatasetStatus(name, state, source, entry, remote, None)

    def verify(
        self,
        dataset: Dataset,
        repair: Callable[[str], CacheEntry] | None,
        progress: ProgressPort,
    ) -> Verified:
        """Reads every byte of the dataset's entries; `repair` brings what was damaged anew."""
        name, source = dataset.name, dataset.source
        damaged: tuple[Path, ...] = ()
        try:
            identity = self._storage.identity(source)
            with progress.transfer(name) as reading:
                damaged = self._cache.remove_damaged(identity, source, progress=reading)
            entry = self._cache.current(identity, source)
            if not damaged:
                found = Integrity.ABSENT if entry is None else Integrity.INTACT
                return Verified(name, found, entry, (), None)
            if repair is not None:
                entry = repair(name)
        except DatacachalogError as error:
            is_known = damaged or isinstance(error, IntegrityError)
            found = Integrity.DAMAGED if is_known else Integrity.UNKNOWN
            return Verified(name, found, None, damaged, error)
        state = Integrity.DAMAGED if repair is None else Integrity.REPAIRED
        return Verified(name, state, entry, damaged, None)

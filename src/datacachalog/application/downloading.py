"""How one object is downloaded: into the cache's staging, where the rest of another may lie."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datacachalog.domain.objects import NotModified

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from datacachalog.domain.checksum import Checksum
    from datacachalog.domain.dataset import Dataset
    from datacachalog.domain.objects import CacheEntry, ObjectInfo, Revision
    from datacachalog.ports import CachePort, Clock, ProgressPort, Staging, StoragePort


@dataclass(frozen=True, slots=True)
class Arrival:
    """A store's answer: the object, which is not in the cache yet, or that it is what was known."""

    answer: ObjectInfo | NotModified
    asked_at: datetime
    staging: Staging

    @property
    def info(self) -> ObjectInfo:
        """The object that came, where no revision was known."""
        assert not isinstance(self.answer, NotModified), "no revision was offered"  # noqa: S101 - for the type checker
        return self.answer

    def publish(self, *, current: bool, checksum: Checksum | None = None) -> CacheEntry:
        """Makes what came an entry of the cache."""
        return self.staging.publish(
            self.info, checked_at=self.asked_at, current=current, checksum=checksum
        )


class Downloading:
    """Downloads objects of datasets. Threads may share one."""

    def __init__(self, storage: StoragePort, cache: CachePort, clock: Clock) -> None:
        self._storage, self._cache, self._clock = storage, cache, clock

    @contextmanager
    def arrived(
        self,
        dataset: Dataset,
        progress: ProgressPort,
        *,
        unless: Revision | None = None,
        version: str | None = None,
    ) -> Iterator[Arrival]:
        """The object, or one version of it, unless it is the revision that is known.

        What was interrupted before is gone on with. What is not published goes with the block.
        """
        uri = dataset.source
        with (
            self._cache.staging(self._storage.identity(uri), uri) as staging,
            progress.transfer(dataset.name) as transfer,
        ):
            asked_at = self._clock()
            answer = self._storage.download(
                uri,
                staging.path,
                unless=unless,
                version=version,
                resume=staging.resume,
                progress=transfer,
            )
            yield Arrival(answer, asked_at, staging)

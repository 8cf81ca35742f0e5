"""What the catalog's use cases answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from datacachalog.domain.errors import DatacachalogError, StorageUnavailableError, ViewError
    from datacachalog.domain.lockfile import Pin
    from datacachalog.domain.objects import CacheEntry, ObjectInfo
    from datacachalog.domain.uri import Uri


class Outcome(Enum):
    """What a fetch had to do."""

    CACHED = "cached"
    """The cache was served without asking the store."""
    UNCHANGED = "unchanged"
    """The store was asked, and the cached copy is still its object."""
    DOWNLOADED = "downloaded"
    """Bytes were moved."""
    STALE = "stale"
    """The store could not be asked; the cached copy may be out of date."""


class StaleWarning(UserWarning):
    """A store could not be asked, and a copy was served that may be out of date."""


class ViewWarning(UserWarning):
    """A dataset is in the cache, and its link in the view could not be made."""


class CacheSizeWarning(UserWarning):
    """The cache takes more than its `max_size`, as all of the rest is in use."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What `gc` has removed, or would."""

    removed: tuple[CacheEntry, ...]
    swept_bytes: int
    """The bytes of unfinished downloads and the like that dead processes had left."""
    kept_bytes: int
    """The bytes of the entries that are left."""

    @property
    def freed_bytes(self) -> int:
        """All bytes that went."""
        return self.swept_bytes + sum(entry.info.size_bytes for entry in self.removed)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A dataset that is here now."""

    name: str
    outcome: Outcome
    entry: CacheEntry
    error: StorageUnavailableError | None = None
    """Why the store could not be asked, where the outcome is `STALE`."""
    link_error: ViewError | None = None
    """Why the view does not show it, where there is one."""

    @property
    def path(self) -> Path:
        """The local file; it never changes."""
        return self.entry.path


@dataclass(frozen=True, slots=True)
class PushResult:
    """A dataset whose object was replaced, and its copy in the cache."""

    name: str
    entry: CacheEntry
    link_error: ViewError | None = None
    """Why the view does not show it, where there is one."""

    @property
    def path(self) -> Path:
        """The copy in the cache, which the next fetch returns."""
        return self.entry.path

    @property
    def info(self) -> ObjectInfo:
        """The new object, as the store described it."""
        return self.entry.info


class Integrity(Enum):
    """What reading every byte of a dataset's copies has shown."""

    INTACT = "intact"
    """All are as they were published."""
    ABSENT = "absent"
    """Nothing is cached."""
    DAMAGED = "damaged"
    """Some were not, and were removed."""
    REPAIRED = "repaired"
    """Some were not, and the dataset was fetched again."""
    UNKNOWN = "unknown"
    """They could not be read; the error says why."""


@dataclass(frozen=True, slots=True)
class Verified:
    """One line of `Catalog.verify`. `damaged` is where copies were that have been removed.

    `error` is why a damaged copy could not be removed, the dataset not be fetched again, or the
    copies not be read.
    """

    name: str
    integrity: Integrity
    entry: CacheEntry | None
    damaged: tuple[Path, ...]
    error: DatacachalogError | None


class State(Enum):
    """How the cached copy of a dataset compares with its store."""

    ABSENT = "absent"
    """Nothing is cached."""
    CURRENT = "current"
    """The cached copy is what the store holds."""
    STALE = "stale"
    """The store holds something newer."""
    UNKNOWN = "unknown"
    """The store could not be asked, or the object is gone: see the error."""


@dataclass(frozen=True, slots=True)
class DatasetStatus:
    """One line of `Catalog.status`."""

    name: str
    state: State
    source: Uri
    entry: CacheEntry | None
    remote: ObjectInfo | None
    error: DatacachalogError | None


class LockChange(Enum):
    """What locking does with a dataset's pin; with `check`, what it would do."""

    UNCHANGED = "unchanged"
    """It stays as it is."""
    ADDED = "added"
    """There was none."""
    UPDATED = "updated"
    """It moves to the object that is there now."""
    REMOVED = "removed"
    """The catalog has no such dataset any more."""


@dataclass(frozen=True, slots=True)
class Locked:
    """One line of `Catalog.lock`.

    `before` is the pin that the lockfile had, `after` the one that it has now. With `check`,
    `after` is None where a store would have to be asked. `differences` says in words what changes
    from the one to the other.
    """

    name: str
    change: LockChange
    before: Pin | None
    after: Pin | None
    differences: tuple[str, ...] = ()

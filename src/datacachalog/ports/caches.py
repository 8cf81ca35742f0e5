"""Where revisions of objects are kept on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from datacachalog.ports.progress import SILENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime, timedelta
    from pathlib import Path

    from datacachalog.domain.checksum import Checksum
    from datacachalog.domain.housekeeping import Space, Usage
    from datacachalog.domain.objects import (
        CacheEntry,
        ObjectInfo,
    )
    from datacachalog.domain.uri import Uri
    from datacachalog.ports.progress import TransferProgress


class Staging(Protocol):
    """A place for bytes on their way into the cache, seen by nobody else."""

    @property
    def path(self) -> Path:
        """Where to write the file. It is not there yet, unless `resume`; nor need its folder be."""
        ...

    @property
    def resume(self) -> bool:
        """Whether `path` is there, with its journal, from an interrupted download."""
        ...

    def copy_from(self, path: Path, file_name: str | None = None) -> None:
        """Writes a copy of a local file to `path`, whose bytes it shares where the disk can.

        `path` ends in `file_name` from then on, if one is given.

        Raises:
            LocalFileError: it is missing, unreadable, not a regular file, or was written to
                meanwhile.
        """
        ...

    def publish(
        self,
        info: ObjectInfo,
        *,
        checked_at: datetime,
        current: bool,
        checksum: Checksum | None = None,
    ) -> CacheEntry:
        """Makes the written file an entry, atomically, and returns it.

        It is called `info.file_name`, if there is one, else as the object. Where another process
        has published the same revision already, its entry is returned and this file dropped.
        What nobody had yet is held by this process, see `CachePort.hold`.
        `current` also makes it the entry that `CachePort.current` returns, unless that was
        confirmed by a request begun later than `checked_at`.

        Raises:
            IntegrityError: the file is not as long as `info` says, or `info.digest` is not that
                of what `copy_from` wrote. Otherwise `info.digest` is trusted: whoever gave it
                has read the bytes, and reading them again would cost as much. Or the bytes do
                not come to `checksum`.
        """
        ...


class CachePort(Protocol):
    """Keeps whole, immutable revisions of objects on this machine.

    `identity` is what `StoragePort.identity` returned for `uri`. Raises `CacheFullError` and
    `CachePermissionError`, from methods that write only. An entry that cannot be read, or whose
    file is not as it was published, is as if it were not there.
    """

    def current(self, identity: str, uri: Uri) -> CacheEntry | None:
        """The entry that was last confirmed to be what the store holds."""
        ...

    def find(self, identity: str, uri: Uri, version: str) -> CacheEntry | None:
        """The entry of one version, by the store's version id."""
        ...

    def holding(self, identity: str, uri: Uri, digest: str) -> CacheEntry | None:
        """An entry of this source whose bytes have that BLAKE3, current or not."""
        ...

    def staging(self, identity: str, uri: Uri) -> AbstractContextManager[Staging]:
        """A place for one download; what was not published is gone when the context ends.

        Except what an interrupted download can go on with, as its journal says: a cache may keep
        that for the next staging of the source. No two stagings ever share a file.
        """
        ...

    def confirm(self, entry: CacheEntry, checked_at: datetime) -> CacheEntry | None:
        """Notes that a request begun at `checked_at` found the store unchanged.

        The entry becomes the current one, unless another was confirmed by a later request. None
        where the entry is gone meanwhile. A cache that may not be written stays as it was.
        """
        ...

    def forget(self, identity: str, uri: Uri) -> bool:
        """Has no current entry for this source any more; whether there was one.

        Paths that were handed out stay readable.
        """
        ...

    def has_lost(self, identity: str, uri: Uri) -> bool:
        """Whether an entry was the current one, and is damaged or gone; not where it was forgotten.

        Only tells people why there is none.
        """
        ...

    def matches(self, entry: CacheEntry, checksum: Checksum) -> bool:
        """Whether an entry's bytes come to a checksum. They are read where that is not known."""
        ...

    def remove_damaged(
        self, identity: str, uri: Uri, *, progress: TransferProgress = SILENT
    ) -> tuple[Path, ...]:
        """Reads every byte of a source's entries, and removes those that are not as published.

        Returns where they were. It takes as long as reading them does: `progress` hears of each
        byte that was read, and of nothing where there is nothing to read.
        """
        ...

    def entries(self) -> Iterator[CacheEntry]:
        """Every readable entry, of every source, in no order."""
        ...

    def hold(self, entry: CacheEntry) -> bool:
        """Notes that this process hands out the entry's path; False where it is gone by now.

        It counts as used now, exact to ten minutes. No other process's `remove` takes it while
        this one lives: for a day, and as long as it is the latest that this process has of its
        source. A cache that cannot be written to gives the path all the same, without that.
        """
        ...

    def pin(self, entry: CacheEntry) -> AbstractContextManager[bool]:
        """Keeps the entry from every `remove` until the context ends; gives False if it is gone."""
        ...

    def usages(self) -> Iterator[Usage]:
        """What `entries` gives, and who may still want it."""
        ...

    def remove(self, entries: Iterable[CacheEntry]) -> tuple[CacheEntry, ...]:
        """Removes those of the entries that nobody has pinned; which these were.

        Files that are open stay readable. What this process has only handed out is removed.
        """
        ...

    def sweep(self, *, unfinished: bool = False, dry_run: bool = False) -> int:
        """Removes what dead processes have left; the bytes of it. `dry_run` only counts them.

        Interrupted downloads that can be gone on with go only if `unfinished` is true.
        """
        ...

    def size_bytes(self) -> int:
        """The bytes of all entries, and of interrupted downloads that nobody is at.

        It is cheaper than to sum up `entries`.
        """
        ...

    def space(self) -> Space:
        """What the disk that it is on has left."""
        ...

    def clear(self) -> int:
        """Removes every entry, and returns the bytes that were freed."""
        ...

    def alone(self, identity: str, uri: Uri, wait: timedelta) -> AbstractContextManager[bool]:
        """Holds others off who fetch the same source, in this process and others.

        Waits at most `wait` for them; gives whether it is alone. It only saves work: what is
        published stays right where locks do not work at all.
        """
        ...

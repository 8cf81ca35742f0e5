"""What the core needs from the world: stores, a cache, progress.

The contract of every method stands here, once; `datacachalog.testing` has a suite for each port
that every adapter and every decorator passes. Adapters do not repeat the contract.

All methods may be called from several threads at once.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol, TypeAlias

from datacachalog.domain.objects import ANY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime, timedelta
    from pathlib import Path

    from datacachalog.domain.checksum import Checksum
    from datacachalog.domain.housekeeping import Space, Usage
    from datacachalog.domain.objects import (
        CacheEntry,
        Expected,
        NotModified,
        ObjectInfo,
        Revision,
    )
    from datacachalog.domain.uri import Uri

Clock: TypeAlias = "Callable[[], datetime]"
"""Gives the current time, aware, in UTC."""


class TransferProgress(Protocol):
    """Hears how one transfer, or the reading of a copy, gets on.

    Called from several threads; must not raise.
    """

    def total(self, size_bytes: int) -> None:
        """`size_bytes` are to move in all; called before the first byte counts.

        Called again where it has to begin anew: then nothing has moved yet.
        """
        ...

    def advance(self, size_bytes: int) -> None:
        """`size_bytes` more have moved."""
        ...


class ProgressPort(Protocol):
    """Shows transfers to people."""

    def transfer(self, name: str) -> AbstractContextManager[TransferProgress]:
        """Follows one transfer, named `name`, until the context ends.

        Nothing is shown before its `total` is known: a copy that need not move is silent.
        """
        ...


class SilentTransfer:
    """Shows nothing."""

    def total(self, size_bytes: int) -> None: ...

    def advance(self, size_bytes: int) -> None: ...


SILENT = SilentTransfer()


class SilentProgress:
    """Shows nothing, of any transfer."""

    def transfer(self, name: str) -> AbstractContextManager[TransferProgress]:  # noqa: ARG002 - the port's
        return nullcontext(SILENT)


class StoragePort(Protocol):
    """A place where objects live.

    Every method raises, and raises nothing else that is not a bug:

    - `ObjectNotFoundError`, or `VersionNotFoundError` where `version` was given
    - `NotAnObjectError` where the URI names a folder
    - `StorageAccessError` where credentials are missing, wrong or not enough
    - `StorageUnavailableError` where the store cannot be reached or fails, in bounded time
    - `InvalidUriError` where the store cannot have an object of that name
    """

    def identity(self, uri: Uri) -> str:
        """A name for the object's place that differs wherever its bytes may.

        The URI and whatever else decides whose bytes it means, such as an endpoint. Stable, never
        holds a credential, and costs no request.
        """
        ...

    def stat(self, uri: Uri, *, version: str | None = None) -> ObjectInfo:
        """Describes the current object, or one version of it, without reading it."""
        ...

    def download(
        self,
        uri: Uri,
        dest: Path,
        *,
        version: str | None = None,
        unless: Revision | None = None,
        resume: bool = False,
        progress: TransferProgress = SILENT,
    ) -> ObjectInfo | NotModified:
        """Writes the object's bytes to `dest`, and returns the info of exactly these bytes.

        Where the object is still the revision `unless`, nothing is written and `NOT_MODIFIED` is
        returned; both answers cost one request. `dest` must not exist; its folder is made when
        the first byte arrives. All bytes of a returned `dest` are of one revision.

        On an error `dest` may be left behind half-written. With a file `<dest>.journal` beside it,
        a later call with `resume` can go on where this one ended; without one, `dest` is only the
        caller's to remove. With `resume`, both may be there: what is right of an interrupted
        download of the same object is not moved again, and counts as moved at once; anything else
        that is there is replaced. An adapter that cannot go on replaces it always.

        Raises:
            RemoteChangedError: the object kept changing while it was read.
            IntegrityError: the bytes are not those that the store has a checksum of.
            CacheFullError: the disk that `dest` is on is full.
            CachePermissionError: `dest` cannot be made.
        """
        ...

    def upload(
        self,
        path: Path,
        uri: Uri,
        *,
        expect: Expected = ANY,
        progress: TransferProgress = SILENT,
    ) -> ObjectInfo:
        """Makes the file's bytes the object's, atomically, and returns its new info.

        No reader sees a part of it, and nothing changes where an error is raised. Memory is
        bounded, whatever the size. `path` must not change meanwhile.

        Raises:
            ConflictError: the object is not what was expected: not that revision, or not absent.
            UnsupportedOperationError: the store does not honour such an expectation.
            CacheError: `path`, which is in the cache, cannot be read.
        """
        ...

    def walk(self, prefix: Uri) -> Iterator[ObjectInfo]:
        """Every object whose address starts with `prefix`, in whatever order the store lists them.

        `prefix` is a string, not a folder: `a/b` matches `a/bc`, unless it ends in `/`. No objects
        is an empty iterator, a missing bucket an `ObjectNotFoundError`.
        """
        ...

    def versions(self, uri: Uri) -> Iterator[ObjectInfo]:
        """Every version that the store keeps of an object, newest first.

        A store without versions has exactly one, whose `version` is None.
        """
        ...

    def read(self, uri: Uri, start: int, end: int, *, version: str | None = None) -> bytes:
        """The bytes `start` up to, not including, `end`; fewer where the object ends before."""
        ...


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

    def copy_from(self, path: Path) -> None:
        """Writes a copy of a local file to `path`, whose bytes it shares where the disk can.

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

        Where another process has published the same revision already, its entry is returned and
        this file dropped. `current` also makes it the entry that `CachePort.current` returns,
        unless that was confirmed by a request begun later than `checked_at`.

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

    def sweep(self, *, dry_run: bool = False) -> int:
        """Removes what dead processes have left; the bytes of it. `dry_run` only counts them."""
        ...

    def size_bytes(self) -> int:
        """The bytes of all entries; cheaper than to sum up `entries`."""
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


class ViewPort(Protocol):
    """Shows people the current copies, by names that they know."""

    def show(self, name: str, path: Path) -> bool:
        """Has `name` lead to a file in the cache; whether it led elsewhere, or nowhere, before.

        Atomic: whoever opens `name` meanwhile gets the former file or the new one, whole. Where it
        leads there already, that costs one look.

        Raises:
            ViewError: something is in its place that is not a view's, and stays as it is; or the
                view cannot be written.
        """
        ...


class LockfilePort(Protocol):
    """The text of the lockfile, beside the catalog file."""

    @property
    def file(self) -> str:
        """Where it is, for people."""
        ...

    def read(self) -> str | None:
        """Its text; None where there is none.

        Raises:
            LockfileError: it cannot be read, is no text, or is larger than any lockfile is.
        """
        ...

    def update(self, change: Callable[[str | None], str | None]) -> None:
        """Replaces it whole by what `change` makes of its text; where that is None, nothing.

        Everybody reads the one text or the other. Who else updates it on this machine waits, so
        that no update is lost.

        Raises:
            LockfileError: it cannot be written, and is as it was.
        """
        ...

"""A cache that ends with its process: the index in RAM, the files in a private temporary folder."""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from datacachalog.adapters.digest import blake3_of, has_checksum, refuse_other_bytes
from datacachalog.adapters.disk import cache_errors, copy_whole, remove_tree, space_at
from datacachalog.domain.errors import CacheError, IntegrityError, LocalFileError
from datacachalog.domain.housekeeping import Usage
from datacachalog.domain.keys import (
    local_name,
    revision_id,
    revision_id_by_bytes,
    safe_name,
    source_key,
)
from datacachalog.domain.objects import CacheEntry
from datacachalog.ports import SILENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import timedelta
    from types import TracebackType

    from datacachalog.domain.checksum import Checksum
    from datacachalog.domain.housekeeping import Space
    from datacachalog.domain.objects import ObjectInfo
    from datacachalog.domain.uri import Uri
    from datacachalog.ports import TransferProgress


class MemoryCache:
    """A cache of this process alone; `close`, or the end of its `with` block, removes the files.

    A thread that is still fetching then fails to publish, and leaves nothing behind either. A
    forked child may read what is in it; the files belong to the process that made them.

    >>> with MemoryCache() as cache:
    ...     list(cache.entries())
    []
    """

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="datacachalog-"))
        self._maker = os.getpid()
        self._remove_all = partial(_remove, self.root, self._maker)
        self.close = weakref.finalize(self, self._remove_all)
        self._lock = threading.RLock()
        self._entries: dict[tuple[str, str], CacheEntry] = {}
        self._current: dict[str, CacheEntry] = {}
        self._used: dict[str, datetime] = {}
        self._pins: Counter[str] = Counter()
        self._turns: dict[str, threading.Lock] = {}
        self._stagings = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def current(self, identity: str, uri: Uri) -> CacheEntry | None:  # noqa: ARG002 - the port's
        with self._lock:
            entry = self._current.get(identity)
            return entry if entry is not None and _is_as_published(entry) else None

    def find(self, identity: str, uri: Uri, version: str) -> CacheEntry | None:  # noqa: ARG002 - the port's
        for entry in self.entries():
            if (entry.identity, entry.info.version) == (identity, version):
                return entry
        return None

    def holding(self, identity: str, uri: Uri, digest: str) -> CacheEntry | None:  # noqa: ARG002 - the port's
        for entry in self.entries():
            if (entry.identity, entry.digest) == (identity, digest):
                return entry
        return None

    @contextmanager
    def staging(self, identity: str, uri: Uri) -> Iterator[MemoryStaging]:
        self._refuse_children()
        with self._lock:
            self._stagings += 1
            folder = self.root / "partial" / str(self._stagings)
        try:
            yield MemoryStaging(self, identity, folder / local_name(uri))
        finally:
            remove_tree(folder)
            if not self.close.alive:  # what was staged since then had made the root again
                self._remove_all()

    def confirm(self, entry: CacheEntry, checked_at: datetime) -> CacheEntry | None:
        with self._lock:
            kept = self._entries.get((entry.identity, entry.revision_id))
            if kept is None or not _is_as_published(kept):
                return None
            return self._point(kept, checked_at)

    def forget(self, identity: str, uri: Uri) -> bool:
        with self._lock:
            had_one = self.current(identity, uri) is not None
            self._current.pop(identity, None)
            return had_one

    def has_lost(self, identity: str, uri: Uri) -> bool:
        with self._lock:
            return identity in self._current and self.current(identity, uri) is None

    def matches(self, entry: CacheEntry, checksum: Checksum) -> bool:
        with cache_errors(self.root):
            return has_checksum(entry, checksum)

    def remove_damaged(
        self,
        identity: str,
        uri: Uri,  # noqa: ARG002 - the port's
        *,
        progress: TransferProgress = SILENT,
    ) -> tuple[Path, ...]:
        self._refuse_children()
        with self._lock:
            kept = [(key, e) for key, e in self._entries.items() if e.identity == identity]
        if sizes := [e.info.size_bytes for _, e in kept if _is_as_published(e)]:
            progress.total(sum(sizes))
        damaged = [
            (key, e) for key, e in kept if not (_is_as_published(e) and _is_whole(e, progress))
        ]
        with self._lock:
            for key, entry in damaged:
                self._entries.pop(key, None)
                remove_tree(entry.path.parent)
        return tuple(entry.path for _, entry in damaged)

    def entries(self) -> Iterator[CacheEntry]:
        with self._lock:
            return iter([e for e in self._entries.values() if _is_as_published(e)])

    def hold(self, entry: CacheEntry) -> bool:
        with self._lock:
            self._used[entry.revision_id] = datetime.now(UTC)
        return _is_as_published(entry)

    @contextmanager
    def pin(self, entry: CacheEntry) -> Iterator[bool]:
        with self._lock:
            self._pins[entry.revision_id] += 1
        try:
            yield _is_as_published(entry)
        finally:
            with self._lock:
                self._pins -= Counter([entry.revision_id])

    def usages(self) -> Iterator[Usage]:
        with self._lock:
            current = {entry.revision_id for entry in self._current.values()}
            for entry in self.entries():
                known = entry.revision_id
                yield Usage(
                    entry,
                    self._used.get(known, entry.checked_at),
                    is_current=known in current,
                    is_pinned=known in self._pins,
                    is_ours=known in self._used,
                )

    def remove(self, entries: Iterable[CacheEntry]) -> tuple[CacheEntry, ...]:
        self._refuse_children()
        with self._lock:
            loose = [entry for entry in entries if entry.revision_id not in self._pins]
            return tuple(filter(self._remove_entry, loose))

    def _remove_entry(self, entry: CacheEntry) -> bool:
        if not _is_as_published(entry):  # it went, and may have come again
            return False
        if self._entries.pop((entry.identity, entry.revision_id), None) is None:
            return False
        self._used.pop(entry.revision_id, None)
        remove_tree(entry.path.parent)
        return True

    def sweep(self, *, unfinished: bool = False, dry_run: bool = False) -> int:  # noqa: ARG002 - the port's
        return 0  # nothing outlives its process

    def size_bytes(self) -> int:
        return sum(entry.info.size_bytes for entry in self.entries())

    def space(self) -> Space:
        return space_at(self.root)

    def clear(self) -> int:
        self._refuse_children()
        with self._lock:
            freed = sum(entry.info.size_bytes for entry in self.entries())
            self._entries.clear()
            self._current.clear()
            remove_tree(self.root / "objects")
            return freed

    @contextmanager
    def alone(self, identity: str, uri: Uri, wait: timedelta) -> Iterator[bool]:  # noqa: ARG002 - the port's
        with self._lock:
            turn = self._turns.setdefault(identity, threading.Lock())
        held = turn.acquire(timeout=min(wait.total_seconds(), threading.TIMEOUT_MAX))
        try:
            yield held
        finally:
            if held:
                turn.release()

    def keep(self, path: Path, entry: CacheEntry, *, current: bool) -> CacheEntry:
        """Moves the file at `path` to where `entry` says, unless there is one already."""
        with self._lock:
            if not self.close.alive:
                raise CacheError(str(self.root), "it was closed meanwhile")
            kept = self._entries.get((entry.identity, entry.revision_id))
            if kept is not None and _is_as_published(kept) and kept.digest != entry.digest:
                entry = _known_by_its_bytes(entry)
            key = (entry.identity, entry.revision_id)
            kept = self._entries.get(key)
            if kept is None or not _is_as_published(kept):
                remove_tree(entry.path.parent)  # what is left of a damaged one
                entry.path.parent.mkdir(parents=True)
                path.replace(entry.path)
                self._entries[key] = kept = entry
            confirmed = replace(kept, checked_at=entry.checked_at)
            return self._point(confirmed, entry.checked_at) if current else confirmed

    def _refuse_children(self) -> None:
        if os.getpid() != self._maker:
            raise CacheError(str(self.root), "it belongs to the process that this one is a fork of")

    def _point(self, entry: CacheEntry, checked_at: datetime) -> CacheEntry:
        """Makes `entry` the current one, unless another was confirmed by a later request."""
        entry = replace(entry, checked_at=checked_at)
        latest = self._current.get(entry.identity)
        # One from the future, left by a clock that was wrong, must not stay for ever.
        if latest is None or not checked_at < latest.checked_at <= datetime.now(UTC):
            self._current[entry.identity] = entry
        return entry


class MemoryStaging:
    """One file on its way into a `MemoryCache`, which keeps none that was interrupted."""

    resume = False

    def __init__(self, cache: MemoryCache, identity: str, path: Path) -> None:
        self.path, self._own_name = path, path.name
        self._cache, self._identity = cache, identity

    def copy_from(self, path: Path, file_name: str | None = None) -> None:
        if file_name is not None:
            self.path = self.path.with_name(safe_name(file_name))
        try:
            copy_whole(path, self.path, SILENT)
        except OSError as error:
            raise LocalFileError(str(path), error.strerror or str(error)) from error

    def publish(
        self,
        info: ObjectInfo,
        *,
        checked_at: datetime,
        current: bool,
        checksum: Checksum | None = None,
    ) -> CacheEntry:
        with cache_errors(self.path):
            status = self.path.stat()
            if status.st_size != info.size_bytes:
                detail = f"{status.st_size} bytes came, {info.size_bytes} were announced"
                raise IntegrityError(str(info.uri), detail)
            digest = self._checked(info, checksum)
            self.path.chmod(0o444)
            revision = revision_id(self._identity, info, digest)
            home = self._cache.root / "objects" / source_key(self._identity, info.uri) / revision
            entry = CacheEntry(
                identity=self._identity,
                revision_id=revision,
                path=home / self._name(info),
                info=replace(info, digest=digest),
                digest=digest,
                mtime_ns=status.st_mtime_ns,
                checked_at=checked_at,
                checksum=checksum,
            )
            return self._cache.keep(self.path, entry, current=current)

    def _name(self, info: ObjectInfo) -> str:
        return safe_name(info.file_name) if info.file_name else self._own_name

    def _checked(self, info: ObjectInfo, checksum: Checksum | None) -> str:
        """The file's BLAKE3, once it is known to be what was announced and declared."""
        digest = blake3_of(self.path)
        if info.digest not in {None, digest}:
            raise IntegrityError(str(info.uri), f"BLAKE3 {digest} came, not {info.digest}")
        if checksum is not None:
            refuse_other_bytes(self.path, digest, info, checksum)
        return digest


def _remove(root: Path, maker: int) -> None:
    if os.getpid() == maker:
        remove_tree(root)


def _known_by_its_bytes(entry: CacheEntry) -> CacheEntry:
    revision = revision_id_by_bytes(entry.identity, entry.info, entry.digest)
    path = entry.path.parent.parent / revision / entry.path.name
    return replace(entry, revision_id=revision, path=path)


def _is_whole(entry: CacheEntry, progress: TransferProgress) -> bool:
    return blake3_of(entry.path, progress) == entry.digest


def _is_as_published(entry: CacheEntry) -> bool:
    try:
        status = entry.path.stat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (entry.info.size_bytes, entry.mtime_ns)

"""The way into the directory cache: a private folder that becomes an entry in one rename."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from datacachalog.adapters.cache.entries import is_whole, known
from datacachalog.adapters.cache.records import RECORD, Record
from datacachalog.adapters.digest import blake3_of, refuse_other_bytes
from datacachalog.adapters.disk import (
    cache_errors,
    copy_whole,
    make_folder,
    remove_tree,
    turn_at_the_disk,
    write_new,
)
from datacachalog.adapters.journal import has_journal
from datacachalog.domain.errors import (
    CacheError,
    CacheFullError,
    CachePermissionError,
    IntegrityError,
    LocalFileError,
    RemoteChangedError,
)
from datacachalog.domain.keys import revision_id, revision_id_by_bytes, safe_name
from datacachalog.ports import SILENT

if TYPE_CHECKING:
    from datetime import datetime

    from datacachalog.adapters.cache.directory import DirectoryCache
    from datacachalog.adapters.cache.entries import EntryFolders
    from datacachalog.adapters.cache.partials import Partials
    from datacachalog.domain.checksum import Checksum
    from datacachalog.domain.objects import CacheEntry, ObjectInfo
    from datacachalog.domain.uri import Uri

# The last two: by a file; not at all, because somebody has just cleared the cache.
_TAKEN = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.ENOENT}
_ATTEMPTS = 5
# After these, nothing that was downloaded is of use, or there is no room for it.
_FINAL = (CacheFullError, IntegrityError, RemoteChangedError)


@dataclass(slots=True)
class Place:
    """Where things of one source are in a cache, as strings: a look must not build paths.

    `memo` is what the ref was last found to say, with the status that its file had then.
    """

    identity: str
    uri: Uri
    key: str
    file_name: str
    folder: str
    ref: str
    lock: str
    memo: tuple[tuple[int, int, int], CacheEntry] | None = None


class DirectoryStaging:
    """One download or push on its way into a `DirectoryCache`."""

    def __init__(
        self,
        entries: EntryFolders,
        partials: Partials,
        place: Place,
        cache: DirectoryCache,
    ) -> None:
        self._entries, self._place, self._cache = entries, place, cache
        self._partials, self._folder = partials, partials.new(place.key)
        self._digest: str | None = None
        self._is_published = False
        self.path = Path(f"{self._folder}/{place.file_name}")
        self.resume = False

    def __enter__(self) -> Self:
        self.resume = self._partials.claim(self._place.key, self._folder)
        if self._entries.shared and not self.resume:
            # Here, not with its first file: colleagues must be able to remove it. Who may only read
            # is told where bytes come, as what is current needs no folder.
            with (
                suppress(CachePermissionError),
                cache_errors(self._entries.objects.parents[1]),
            ):
                make_folder(self._folder, shared=True)
        return self

    def __exit__(self, _: object, error: object, __: object) -> None:
        if isinstance(error, CacheError) and not isinstance(error, IntegrityError):
            error.path = str(self._entries.objects.parents[1])  # what people have named
        if self._is_published:
            return
        if isinstance(error, BaseException) and not isinstance(error, _FINAL):
            with suppress(OSError):  # then it goes
                if has_journal(self.path):
                    self._partials.disown(self._folder)
                    return
        if os.path.lexists(self._folder):
            remove_tree(self._folder)

    def copy_from(self, path: Path, file_name: str | None = None) -> None:
        if file_name is not None:
            self.path = self.path.with_name(safe_name(file_name))
        try:
            _, self._digest = copy_whole(path, self.path, SILENT)
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
        with cache_errors(self._entries.objects), turn_at_the_disk():
            record = self._seal(info, checked_at, checksum)
            entry = self._rename(record, checked_at)
            self._entries.settling.sync_way(self._place.folder)
            if current:
                self._cache.point(entry)
        return entry

    def _seal(self, info: ObjectInfo, checked_at: datetime, checksum: Checksum | None) -> Record:
        """Checks the file against `info`, makes it read-only, and writes the record beside it."""
        file = str(self.path)
        status = os.stat(file)  # noqa: PTH116 - see `Place`
        if status.st_size != info.size_bytes:
            detail = f"{status.st_size} bytes came, {info.size_bytes} were announced"
            raise IntegrityError(str(info.uri), detail)
        digest = self._digest or info.digest or blake3_of(self.path)
        if info.digest not in {None, digest}:
            raise IntegrityError(str(info.uri), f"BLAKE3 {digest} came, not {info.digest}")
        if checksum is not None:
            refuse_other_bytes(self.path, digest, info, checksum)
        mode = status.st_mode & 0o444 | (0o440 if self._entries.shared else 0)
        os.chmod(file, mode)  # noqa: PTH101 - see `Place`
        sealed = info if info.digest else replace(info, digest=digest)
        place, settling = self._place, self._entries.settling
        self._call(safe_name(info.file_name) if info.file_name else place.file_name)
        record = Record(
            place.identity,
            self.path.name,
            sealed,
            digest,
            status.st_mtime_ns,
            checked_at,
            checksum,
            settling.boot or None,
            is_settled=settling.is_strict,
        )
        write_new(f"{self._folder}/{RECORD}", record.to_json(), shared=self._entries.shared)
        settling.sync(str(self.path), f"{self._folder}/{RECORD}", self._folder)
        return record

    def _call(self, file_name: str) -> None:
        if file_name != self.path.name:
            self.path = self.path.rename(self.path.with_name(file_name))

    def _rename(self, record: Record, checked_at: datetime) -> CacheEntry:
        place, described = self._place, (self._place.identity, record.info, record.digest)
        revision = revision_id(*described)
        for _ in range(_ATTEMPTS):
            target = f"{place.folder}/{revision}"
            entry = record.as_entry(revision, target, checked_at)
            if self._is_moved(entry, target):
                return entry
            with known(Path(target)) as seen:
                # An OSError is not caught: no good entry, whose path somebody has, must go for it.
                other = self._entries.examine(place.key, revision, checked_at)
                if other is None or not is_whole(other):
                    self._entries.discard(Path(target), seen)  # damaged since it was published
                elif other.digest == record.digest:
                    self._sync(other)
                    return other  # another process was first
                else:  # the store tells the same of other bytes; nobody's path may change for that
                    revision = revision_id_by_bytes(*described)
        raise CacheError(target, "another process keeps damaging it")

    def _sync(self, entry: CacheEntry) -> None:
        """Does for an entry that another process has published what we do for ours."""
        settling, folder = self._entries.settling, str(entry.path.parent)
        if settling.is_strict:
            settling.sync(str(entry.path), f"{folder}/{RECORD}", folder)
            settling.settle(entry)

    def _is_moved(self, entry: CacheEntry, target: str) -> bool:
        """Makes this folder the one of a revision, unless there is one."""
        is_new = self._cache.holds.announce(entry)
        try:
            self._make_way()
            os.rename(self._folder, target)  # noqa: PTH104 - a string, see `Place`
            self._is_published = True
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
        finally:
            if not self._is_published:
                # Where there is one, it is handed out in our stead, and held by then.
                is_nowhere = not os.path.lexists(target)
                self._cache.holds.take_back(entry, is_noted=is_new and is_nowhere)
        return self._is_published

    def _make_way(self) -> None:
        """Makes the folder of the source, which most that come have not yet."""
        folder, shared = self._place.folder, self._entries.shared
        with suppress(FileExistsError):
            if make_folder(folder, shared=shared):
                return
        if os.path.islink(folder):  # noqa: PTH114 - a string, see `Place`
            os.unlink(folder)  # noqa: PTH108 - it would lead out of the cache
            make_folder(folder, shared=shared)

"""The folders of published entries: read with suspicion, and taken out of sight in one step."""

from __future__ import annotations

import contextlib
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING

from datacachalog.adapters.cache.owners import owned_name
from datacachalog.adapters.cache.records import NOTHING_THERE, RECORD, read_record
from datacachalog.adapters.cache.settling import Settling
from datacachalog.adapters.digest import blake3_in, opened
from datacachalog.adapters.disk import make_folder, remove_tree
from datacachalog.domain.errors import IntegrityError
from datacachalog.domain.keys import revision_id, revision_id_by_bytes, source_key
from datacachalog.ports import SILENT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from datacachalog.adapters.cache.records import Record
    from datacachalog.domain.objects import CacheEntry
    from datacachalog.ports import TransferProgress

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class EntryFolders:
    """All entries below `objects`, one folder a source, and in it one a revision."""

    objects: Path
    trash: Path
    settling: Settling = field(default_factory=Settling)
    shared: bool = False
    """Whether a group may write to what is made here."""

    def of_source(self, key: str) -> Iterator[CacheEntry]:
        """Every readable entry of one source, whether its bytes have outlived a power cut or not.

        Who hands one out asks `load` first.
        """
        try:
            revisions = names_in(self.objects / key)
        except OSError:
            return
        for revision in revisions:
            with contextlib.suppress(OSError):
                if (entry := self.examine(key, revision)) is not None:
                    yield entry

    def load(self, key: str, revision: str, checked_at: datetime) -> CacheEntry | None:
        """The entry in one revision's folder; None where anything about it is odd.

        Its bytes are read where they were written before the machine was started anew.
        """
        try:
            found = self._read(key, revision, checked_at)
            return found[0] if found is not None and self.settling.trusts(*found) else None
        except OSError:
            return None

    def examine(
        self, key: str, revision: str, checked_at: datetime | None = None
    ) -> CacheEntry | None:
        """What `load` gives, for who removes what is damaged; its bytes are not read.

        Without `checked_at`, it was last confirmed by the request that brought it.

        Raises:
            OSError: the system failed to read it, so there may be nothing wrong with it.
        """
        found = self._read(key, revision, checked_at)
        return None if found is None else found[0]

    def _read(
        self, key: str, revision: str, checked_at: datetime | None
    ) -> tuple[CacheEntry, Record] | None:
        folder = f"{self.objects}/{key}"
        if not (is_folder(folder) and is_folder(f"{folder}/{revision}")):
            return None  # a link leads out of the cache
        record = read_record(f"{folder}/{revision}/{RECORD}")
        if record is None or source_key(record.identity, record.info.uri) != key:
            return None
        described = (record.identity, record.info, record.digest)
        if revision not in {revision_id(*described), revision_id_by_bytes(*described)}:
            return None  # a record that was copied here from elsewhere
        entry = record.as_entry(revision, f"{folder}/{revision}", checked_at or record.checked_at)
        return (entry, record) if _is_as_published(entry) else None

    def remove_damaged(
        self, key: str, file_name: str, progress: TransferProgress = SILENT
    ) -> Iterator[Path]:
        """Discards the entries of one source that are not as published; where their files were.

        Raises:
            IntegrityError: one is damaged, and cannot be removed.
            OSError: the system failed to read one, so there may be nothing wrong with it.
        """
        if sizes := [entry.info.size_bytes for entry in self.of_source(key)]:
            progress.total(sum(sizes))
        for revision in names_in(self.objects / key):
            folder = self.objects / key / revision
            with known(folder) as seen:
                entry = self.examine(key, revision)
                if entry is not None and is_whole(entry, progress):
                    self.settling.settle(entry)
                elif self._is_discarded(folder, seen):
                    yield folder / file_name

    def _is_discarded(self, folder: Path, seen: int | None) -> bool:
        try:
            return self.discard(folder, seen)
        except OSError as error:
            detail = f"it is damaged, and cannot be removed: {error.strerror}"
            raise IntegrityError(str(folder), detail) from error

    def discard(self, folder: Path, seen: int | None) -> bool:
        """Takes a folder out of sight in one step, then removes it; whether it was that one.

        `seen` is what `known` gave of what was judged. Another process may have removed that
        since, and published a good entry in its place, which stays.
        """
        gone = self.way_out()
        try:
            folder.rename(gone)
        except FileNotFoundError:
            return False
        if gone.lstat().st_ino != seen:
            with contextlib.suppress(OSError):  # there is a good one again
                gone.rename(folder)
            return False
        remove_tree(gone)
        return True

    def way_out(self) -> Path:
        """A new name in the trash, for what is to be removed."""
        make_folder(str(self.trash), shared=self.shared)
        return self.trash / owned_name()


@contextmanager
def known(folder: Path) -> Iterator[int | None]:
    """The inode of a folder, which no other gets before the block ends; None where there is none.

    It tells a folder from another one of the same name.
    """
    try:
        fd = os.open(folder, _OPEN_FOLDER & ~os.O_DIRECTORY)
    except FileNotFoundError:
        yield None
    except OSError:  # a link, say
        yield folder.lstat().st_ino
    else:
        try:
            yield os.fstat(fd).st_ino
        finally:
            os.close(fd)


def is_as_published(entry: CacheEntry) -> bool:
    """Whether an entry's file has the size and the time that it was published with."""
    try:
        # A part of every hit: Path.lstat takes twice as long, and to ask it for its text a tenth.
        return _is_it(entry, os.lstat(str(entry.path)))
    except OSError:
        return False


def _is_as_published(entry: CacheEntry) -> bool:
    try:
        return _is_it(entry, entry.path.lstat())
    except OSError as error:
        if error.errno in NOTHING_THERE:
            return False
        raise


def _is_it(entry: CacheEntry, status: os.stat_result) -> bool:
    is_unchanged = status.st_mtime_ns == entry.mtime_ns
    return is_unchanged and status.st_size == entry.info.size_bytes and S_ISREG(status.st_mode)


def is_whole(entry: CacheEntry, progress: TransferProgress = SILENT) -> bool:
    """Whether an entry's file is the one that was published; its bytes are all read.

    What is looked at is what is read, whatever has the name by then.
    """
    try:
        with opened(entry.path) as file:
            is_it = _is_it(entry, os.fstat(file.fileno()))
            return is_it and blake3_in(file, progress) == entry.digest
    except OSError as error:
        if error.errno in NOTHING_THERE:  # somebody has cleared the cache, or left a link
            return False
        raise


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether there is a folder, and no link to one.

    Raises:
        OSError: it cannot be told.
    """
    try:
        return S_ISDIR(os.lstat(path).st_mode)
    except OSError as error:
        if error.errno in NOTHING_THERE:
            return False
        raise


def bytes_below(path: Path) -> int:
    """The bytes of all files below a folder, less records; of a file itself; of a link, none."""
    if path.is_symlink():
        return 0
    found = ((folder, name) for folder, _, names in os.walk(path) for name in names)
    return sum(map(_file_bytes, [path, *(Path(*one) for one in found if one[1] != RECORD)]))


def _file_bytes(path: Path) -> int:
    try:
        status = path.lstat()
    except OSError:
        return 0
    return status.st_size if S_ISREG(status.st_mode) else 0


def names_in(folder: Path) -> list[str]:
    """The names in a folder, sorted; none where there is no folder, but a link to one perhaps.

    Raises:
        OSError: it may not be looked into.
    """
    try:
        fd = os.open(folder, _OPEN_FOLDER)
    except OSError as error:
        if error.errno in NOTHING_THERE:
            return []
        raise
    try:
        return sorted(os.listdir(fd))  # noqa: PTH208 - names are wanted
    finally:
        os.close(fd)

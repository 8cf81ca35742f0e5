"""The folders of published entries: read with suspicion, and taken out of sight in one step."""

from __future__ import annotations

import contextlib
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datacachalog.adapters.cache.owners import owned_name
from datacachalog.adapters.cache.records import NOTHING_THERE, read_record
from datacachalog.adapters.digest import blake3_of
from datacachalog.adapters.disk import remove_tree
from datacachalog.domain.keys import revision_id, revision_id_by_bytes, source_key
from datacachalog.domain.objects import CacheEntry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

RECORD = ".entry.json"
"""The name of an entry's record, beside its file; `local_name` never gives it to a file."""


@dataclass(frozen=True, slots=True)
class EntryFolders:
    """All entries below `objects`, one folder a source, and in it one a revision."""

    objects: Path
    trash: Path

    def of_source(self, key: str) -> Iterator[CacheEntry]:
        """Every readable entry of one source."""
        try:
            revisions = names_in(self.objects / key)
        except OSError:
            return
        for revision in revisions:
            entry = self.load(key, revision)
            if entry is not None:
                yield entry

    def load(
        self, key: str, revision: str, checked_at: datetime | None = None
    ) -> CacheEntry | None:
        """The entry in one revision's folder; None where anything about it is odd.

        Without `checked_at`, it was last confirmed by the request that brought it.
        """
        try:
            return self.examine(key, revision, checked_at)
        except OSError:
            return None

    def examine(
        self, key: str, revision: str, checked_at: datetime | None = None
    ) -> CacheEntry | None:
        """What `load` gives, for who removes what is damaged.

        Raises:
            OSError: the system failed to read it, so there may be nothing wrong with it.
        """
        file = f"{self.objects}/{key}/{revision}/{RECORD}"
        record = read_record(file)
        if record is None or source_key(record.identity, record.info.uri) != key:
            return None
        described = (record.identity, record.info, record.digest)
        if revision not in {revision_id(*described), revision_id_by_bytes(*described)}:
            return None  # a record that was copied here from elsewhere
        entry = CacheEntry(
            identity=record.identity,
            revision_id=revision,
            path=self.objects / key / revision / record.file_name,
            info=record.info,
            digest=record.digest,
            mtime_ns=record.mtime_ns,
            checked_at=checked_at or record.checked_at,
            checksum=record.checksum,
        )
        return entry if _is_as_published(entry) else None

    def remove_damaged(self, key: str, file_name: str) -> Iterator[Path]:
        """Discards the entries of one source that are not as published; where their files were.

        Raises:
            OSError: the system failed to read one, so there may be nothing wrong with it.
        """
        for revision in names_in(self.objects / key):
            folder = self.objects / key / revision
            with known(folder) as seen:
                entry = self.examine(key, revision)
                is_good = entry is not None and is_whole(entry)
                if not is_good and self.discard(folder, seen):
                    yield folder / file_name

    def discard(self, folder: Path, seen: int | None) -> bool:
        """Takes a folder out of sight in one step, then removes it; whether it was that one.

        `seen` is what `known` gave of what was judged. Another process may have removed that
        since, and published a good entry in its place, which stays.
        """
        self.trash.mkdir(parents=True, exist_ok=True)
        gone = self.trash / owned_name()
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


@contextmanager
def known(folder: Path) -> Iterator[int | None]:
    """The inode of a folder, which no other gets before the block ends; None where there is none.

    It tells a folder from another one of the same name.
    """
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
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
        return _is_as_published(entry)
    except OSError:
        return False


def _is_as_published(entry: CacheEntry) -> bool:
    try:
        status = os.stat(entry.path)  # noqa: PTH116 - half the cost of Path.stat, in every hit
    except OSError as error:
        if error.errno in NOTHING_THERE:
            return False
        raise
    return status.st_size == entry.info.size_bytes and status.st_mtime_ns == entry.mtime_ns


def is_whole(entry: CacheEntry) -> bool:
    """Whether an entry's file holds the bytes that were published; they are all read."""
    try:
        return blake3_of(entry.path) == entry.digest
    except FileNotFoundError:  # somebody has cleared the cache
        return False


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
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def names_in(folder: Path) -> list[str]:
    """The names in a folder, sorted; none where there is no folder.

    Raises:
        OSError: it may not be looked into.
    """
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names are wanted
    except OSError as error:
        if error.errno in NOTHING_THERE:
            return []
        raise

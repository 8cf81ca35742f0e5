"""Whether the bytes of entries are on the disk, so that they outlive a power cut.

A file system may write a file's name, size and time before its bytes. After a power cut the file
then looks as it was published, and holds zeros. Nothing tells of it but reading.

A record says in which boot of the machine its entry was written. In that boot the bytes are there,
on the disk or not. In another one they are read once, and compared. A record that ends in a newline
is settled: its entry's bytes were on the disk when the newline was written.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from datacachalog.adapters.cache.records import RECORD, SETTLED
from datacachalog.adapters.digest import blake3_in, opened
from datacachalog.domain.durability import Durability

if TYPE_CHECKING:
    from io import FileIO

    from datacachalog.adapters.cache.records import Record
    from datacachalog.domain.objects import CacheEntry

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_APPEND = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
# What file systems answer that cannot sync a folder; SQLite goes on, too.
_NOT_FOR_FOLDERS = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}


@cache
def this_boot() -> str:
    """The name of the time since this machine was started; empty where the system has none."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:  # macOS, or a sandbox
        return ""


class Settling:
    """One policy, in one boot. Threads may share it.

    Where no `boot` is known, entries cannot be told apart by it, and `LAZY` is `STRICT`. Who may
    not `write`, as in a layer, remembers for itself what it has read.
    """

    def __init__(
        self,
        durability: Durability = Durability.LAZY,
        *,
        boot: str | None = None,
        write: bool = True,
    ) -> None:
        self.durability, self.boot = durability, this_boot() if boot is None else boot
        self._write = write
        self.is_strict = durability is Durability.STRICT or (
            durability is Durability.LAZY and not self.boot
        )
        # Whether a file was found whole, by its path, inode and change time: no other file has all.
        self._found: dict[tuple[str, int, int], bool] = {}
        self._is_way_synced = False

    def reading(self) -> Settling:
        """The same policy for a cache that is not to be written to."""
        return Settling(self.durability, boot=self.boot, write=False)

    def trusts(self, entry: CacheEntry, record: Record) -> bool:
        """Whether an entry's bytes are right, as far as power cuts go; read where it is not known.

        Raises:
            OSError: they cannot be read.
        """
        if self.durability is Durability.NONE or record.is_settled:
            return True
        if self.boot and record.boot == self.boot:
            return True
        with opened(entry.path) as file:
            known = _key(entry, file)
            is_whole = self._found.get(known)
            if is_whole is None:
                is_whole = self._found[known] = blake3_in(file) == entry.digest
                if is_whole:
                    self._mark(entry, file)
        return is_whole

    def settle(self, entry: CacheEntry) -> None:
        """Notes that an entry's bytes were read, and are right."""
        if self.durability is Durability.NONE:
            return
        with suppress(FileNotFoundError), opened(entry.path) as file:  # else it was cleared
            self._found[_key(entry, file)] = True
            self._mark(entry, file)

    def _mark(self, entry: CacheEntry, file: FileIO) -> None:
        """Settles a record. Not by a file beside it: the folder's time tells when it was used."""
        if not self._write:
            return
        with suppress(OSError):  # not ours to write; the next process reads it again
            record = os.open(entry.path.with_name(RECORD), _APPEND)
            try:
                if os.pread(record, 1, os.fstat(record).st_size - 1) != SETTLED:
                    os.fsync(file.fileno())  # they may have been copied here in this boot
                    os.write(record, SETTLED)  # of two who do it at once, both may
            finally:
                os.close(record)

    def sync(self, *paths: str) -> None:
        """Waits, where the policy is strict, until files and folders are on the disk.

        Raises:
            OSError: that failed.
        """
        for path in paths if self.is_strict else ():
            _sync(path)

    def sync_way(self, folder: str) -> None:
        """Waits, where the policy is strict, until the name of a source's folder is on the disk.

        So are those of the folders above, the first time: this process may have made them.

        Raises:
            OSError: that failed.
        """
        if not self.is_strict:
            return
        objects = Path(folder).parent
        self.sync(folder, str(objects))
        if not self._is_way_synced:
            for above in objects.parents:
                with suppress(PermissionError):  # not ours, so we have made nothing in it
                    _sync(str(above))
            self._is_way_synced = True


def _sync(path: str) -> None:
    fd = os.open(path, _READ)
    try:
        os.fsync(fd)
    except OSError as error:
        is_folder = stat.S_ISDIR(os.fstat(fd).st_mode)
        if not is_folder or error.errno not in _NOT_FOR_FOLDERS:
            raise
    finally:
        os.close(fd)


def _key(entry: CacheEntry, file: FileIO) -> tuple[str, int, int]:
    status = os.fstat(file.fileno())
    return str(entry.path), status.st_ino, status.st_ctime_ns

"""The digest that every entry of the cache is known by, and the checksums that people declare."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from blake3 import blake3

from datacachalog.adapters.cache.records import NOTHING_THERE
from datacachalog.domain.errors import IntegrityError
from datacachalog.ports import SILENT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO
    from pathlib import Path

    from datacachalog.domain.checksum import Checksum
    from datacachalog.domain.objects import CacheEntry, ObjectInfo
    from datacachalog.ports import TransferProgress


_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
# 256 KiB stay in the processor's cache between reading and hashing: 256 MiB took 0.04 s, and mapped
# into memory 0.05 to 0.08 s (2 cores of an EPYC, 2026-11-21).
_BLOCK_BYTES = 256 << 10


def blake3_of(path: Path, progress: TransferProgress = SILENT) -> str:
    """The BLAKE3 of a file's bytes, in hexadecimal. A link is not followed: an OSError."""
    with opened(path) as file:
        return blake3_in(file, progress)


@contextmanager
def opened(path: Path) -> Iterator[FileIO]:
    """A file of the cache, open to be read: what is looked at then is what is read.

    Raises:
        OSError: it cannot be read, or it is a link, a folder or a pipe.
    """
    fd = os.open(path, _OPEN)
    with os.fdopen(fd, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.ENXIO, "it is not a regular file")
        yield file


def blake3_in(file: FileIO, progress: TransferProgress = SILENT) -> str:
    """The BLAKE3 of what an open file has from here on.

    It is not mapped into memory: who cut it short meanwhile would have the process die. One core
    does it: the threads that BLAKE3 would share it with do not survive a fork, and the child would
    wait for them for ever.
    """
    hasher, block = blake3(), bytearray(_BLOCK_BYTES)
    view = memoryview(block)
    while size := file.readinto(block):
        hasher.update(view[:size])
        progress.advance(size)
    return hasher.hexdigest()


def has_checksum(entry: CacheEntry, checksum: Checksum) -> bool:
    """Whether an entry's bytes come to a checksum; they are read only where it is not known yet."""
    if checksum.algorithm == "blake3":
        return entry.digest == checksum.digest
    if entry.checksum == checksum:
        return True
    try:
        return _digest_of(entry.path, checksum) == checksum.digest
    except OSError as error:
        if error.errno in NOTHING_THERE:  # somebody has cleared the cache, or left a link
            return False
        raise


def refuse_other_bytes(path: Path, digest: str, info: ObjectInfo, checksum: Checksum) -> None:
    """Raises IntegrityError if a file, whose BLAKE3 is `digest`, does not come to a checksum."""
    found = digest if checksum.algorithm == "blake3" else _digest_of(path, checksum)
    if found != checksum.digest:
        detail = f"{checksum.algorithm}:{found} came, and {checksum} is declared"
        raise IntegrityError(str(info.uri), detail)


def _digest_of(path: Path, checksum: Checksum) -> str:
    with opened(path) as file:
        if checksum.algorithm == "md5":
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        return hashlib.file_digest(file, checksum.algorithm).hexdigest()

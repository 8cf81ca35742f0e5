"""The digest that every entry of the cache is known by, and the checksums that people declare."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from blake3 import blake3

from datacachalog.domain.errors import IntegrityError

if TYPE_CHECKING:
    from pathlib import Path

    from datacachalog.domain.checksum import Checksum
    from datacachalog.domain.objects import CacheEntry, ObjectInfo


def blake3_of(path: Path) -> str:
    """The BLAKE3 of a file's bytes, in hexadecimal.

    The file is mapped into memory, so nobody may cut it short meanwhile: the process would die.
    One core does it: the threads that BLAKE3 would share it with do not survive a fork, and the
    child would wait for them for ever.
    """
    return blake3().update_mmap(path).hexdigest()


def has_checksum(entry: CacheEntry, checksum: Checksum) -> bool:
    """Whether an entry's bytes come to a checksum; they are read only where it is not known yet."""
    if checksum.algorithm == "blake3":
        return entry.digest == checksum.digest
    if entry.checksum == checksum:
        return True
    try:
        return _digest_of(entry.path, checksum) == checksum.digest
    except FileNotFoundError:  # somebody has cleared the cache
        return False


def refuse_other_bytes(path: Path, digest: str, info: ObjectInfo, checksum: Checksum) -> None:
    """Raises IntegrityError if a file, whose BLAKE3 is `digest`, does not come to a checksum."""
    found = digest if checksum.algorithm == "blake3" else _digest_of(path, checksum)
    if found != checksum.digest:
        detail = f"{checksum.algorithm}:{found} came, and {checksum} is declared"
        raise IntegrityError(str(info.uri), detail)


def _digest_of(path: Path, checksum: Checksum) -> str:
    with path.open("rb") as file:
        if checksum.algorithm == "md5":
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        return hashlib.file_digest(file, checksum.algorithm).hexdigest()

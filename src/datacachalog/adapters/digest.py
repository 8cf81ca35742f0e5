"""The digest that every entry of the cache is known by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blake3 import blake3

if TYPE_CHECKING:
    from pathlib import Path


def blake3_of(path: Path) -> str:
    """The BLAKE3 of a file's bytes, in hexadecimal; several cores take part in large files.

    The file is mapped into memory, so nobody may cut it short meanwhile: the process would die.
    """
    return blake3(max_threads=blake3.AUTO).update_mmap(path).hexdigest()

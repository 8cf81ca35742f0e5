"""The digest that every entry of the cache is known by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blake3 import blake3

if TYPE_CHECKING:
    from pathlib import Path


def blake3_of(path: Path) -> str:
    """The BLAKE3 of a file's bytes, in hexadecimal.

    The file is mapped into memory, so nobody may cut it short meanwhile: the process would die.
    One core does it: the threads that BLAKE3 would share it with do not survive a fork, and the
    child would wait for them for ever.
    """
    return blake3().update_mmap(path).hexdigest()

"""The checksum that a store keeps of a whole object, and the same of the bytes that came.

S3 tells it in the headers of an answer (Amazon S3 User Guide, "Checking object integrity"). Loaded
by name, when a store is asked for one: with its libraries it takes some milliseconds.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import anycrc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Buffer

_CRCS: Final = {"crc64nvme": "CRC64-NVME", "crc32c": "CRC32C", "crc32": "CRC32"}
# How many bytes each has. Of several, the first is taken: it costs the least.
_BYTES: Final = {"crc64nvme": 8, "crc32c": 4, "crc32": 4, "sha256": 32, "sha1": 20}


class Running(Protocol):
    """A checksum that is being taken of bytes in order."""

    def update(self, data: Buffer, /) -> None:
        """Takes the next bytes."""
        ...

    def digest(self) -> bytes:
        """The checksum of all that was taken."""
        ...


@dataclass(frozen=True, slots=True)
class StoredSum:
    """What a store says that all bytes of one object come to."""

    algorithm: str
    digest: bytes

    def running(self) -> Running:
        """The same checksum of nothing yet."""
        model = _CRCS.get(self.algorithm)
        if model is None:
            return hashlib.new(self.algorithm, usedforsecurity=False)
        return _RunningCrc(model, len(self.digest))

    def difference(self, found: bytes) -> str | None:
        """How other bytes differ, in S3's spelling; None where they are the object's."""
        if found == self.digest:
            return None
        came, stored = (base64.b64encode(one).decode() for one in (found, self.digest))
        return f"their {self.algorithm} is {came}, and the store has {stored}"


class _RunningCrc:
    def __init__(self, model: str, size_bytes: int) -> None:
        self._crc, self._size_bytes = anycrc.Model(model), size_bytes
        self._value: int | None = None

    def update(self, data: Buffer, /) -> None:
        self._value = self._crc.calc(memoryview(data), self._value)

    def digest(self) -> bytes:
        value: int = self._crc.calc(b"") if self._value is None else self._value
        return value.to_bytes(self._size_bytes, "big")


def told_by(headers: Mapping[str, str]) -> StoredSum | None:
    """What an answer's headers, with names in small letters, tell of the whole object.

    None where they tell nothing, or only a checksum of the checksums of an upload's parts, which
    nobody can compare without knowing how it was parted: `COMPOSITE`, or a value such as `…-3`.
    """
    if headers.get("x-amz-checksum-type", "FULL_OBJECT").upper() != "FULL_OBJECT":
        return None
    for algorithm, size_bytes in _BYTES.items():
        value = headers.get(f"x-amz-checksum-{algorithm}", "")
        try:
            digest = base64.b64decode(value, validate=True)
        except ValueError:  # not base64
            continue
        if len(digest) == size_bytes:
            return StoredSum(algorithm, digest)
    return None

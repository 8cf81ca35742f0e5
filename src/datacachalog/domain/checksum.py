"""The checksum that a catalog declares of a dataset's bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

LENGTHS: Final = {"sha256": 64, "md5": 32, "blake3": 64}
"""The algorithms by name, and how many hexadecimal digits each gives."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the bytes are to come to by one algorithm; `digest` is hexadecimal, in small letters."""

    algorithm: str
    digest: str

    @classmethod
    def parse(cls, text: str) -> Checksum:
        """The checksum that `text` spells, such as `sha256:9f86d0…`.

        Raises:
            ValueError: it spells none; the message ends the sentence "checksum …".

        >>> Checksum.parse("md5:D41D8CD98F00B204E9800998ECF8427E").digest
        'd41d8cd98f00b204e9800998ecf8427e'
        """
        algorithm, colon, digest = text.partition(":")
        length = LENGTHS.get(algorithm)
        if not colon or length is None:
            known = ", ".join(f"{name}:…" for name in LENGTHS)
            raise ValueError(f"must be one of {known}")
        if not re.fullmatch(f"[0-9A-Fa-f]{{{length}}}", digest):
            raise ValueError(f"must have {length} hexadecimal digits after '{algorithm}:'")
        return cls(algorithm, digest.lower())

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.digest}"

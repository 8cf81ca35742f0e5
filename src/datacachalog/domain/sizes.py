"""Amounts of bytes as people write them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNITS: dict[str, int] = {"": 1, "B": 1}
for _power, _letter in enumerate("KMGTP", start=1):
    _UNITS |= {f"{_letter}B": 1000**_power, f"{_letter}IB": 1024**_power}
_AMOUNT = re.compile(r"(\d{1,15})(?:\.(\d{1,9}))?\s*([A-Za-z]{0,3})", re.ASCII)
_LACKS_A_UNIT = re.compile(r"[1-9][0-9]?(?:\.[0-9]*)?")
_SHARE = re.compile(r"(\d{1,2})(?:\.(\d{1,3}))?\s*%", re.ASCII)


def parse_bytes(text: str) -> int:
    """The bytes that `text` names, rounded down: `20GB` (10⁹ each), `18.6GiB` (2³⁰), `1048576`.

    Raises:
        ValueError: it names none; the message ends the sentence "max_size …".

    >>> parse_bytes("1.5 KiB")
    1536
    """
    found = _AMOUNT.fullmatch(text.strip())
    unit = _UNITS.get(found[3].upper()) if found else None
    if found is None or unit is None:
        raise ValueError(f"must be a size such as 500MB or 20GB, not {text!r}")
    fraction = found[2] or ""
    return int(found[1] + fraction) * unit // int(10 ** len(fraction))


@dataclass(frozen=True, slots=True)
class MinFree:
    """What a disk must have left: some bytes, or a share of it in hundred-thousandths."""

    size_bytes: int = 0
    share: int = 0

    @classmethod
    def parse(cls, text: str) -> MinFree:
        """The amount that `text` names: `5%` of the disk, or a size such as `20GB`.

        Raises:
            ValueError: it names none; the message ends the sentence "min_free …".

        >>> MinFree.parse("2.5%").of_disk(1000)
        25
        """
        if found := _SHARE.fullmatch(text.strip()):
            return cls(share=int(found[1]) * 1000 + int((found[2] or "").ljust(3, "0")))
        if _LACKS_A_UNIT.fullmatch(text.strip()):  # five bytes are what nobody means
            raise ValueError(f"must be a share such as 5%, or a size with its unit, not {text!r}")
        try:
            return cls(parse_bytes(text))
        except ValueError:
            raise ValueError(f"must be a share such as 5%, or a size, not {text!r}") from None

    def of_disk(self, total_bytes: int) -> int:
        """The bytes that it comes to on a disk of that size."""
        return self.size_bytes + total_bytes * self.share // 100_000


FIVE_PERCENT = MinFree(share=5000)

"""Identifiers that sort by the time they were made at, and say what they are of."""

from __future__ import annotations

import os
import re
import time
import uuid


def uuid7() -> uuid.UUID:
    """A UUID of version 7 (RFC 9562 §5.7): 48 bits of milliseconds, and 74 random ones."""
    stamp = time.time_ns() // 1_000_000
    value = (stamp << 80) | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | (0x7 << 76)
    return uuid.UUID(int=value & ~(0x3 << 62) | (0x2 << 62))


def new_id(prefix: str) -> str:
    """A new identifier such as `snap-0198f2c4…`.

    >>> new_id("snap").partition("-")[0]
    'snap'
    """
    return f"{prefix}-{uuid7().hex}"


def is_id(text: str, prefix: str) -> bool:
    """Whether it is of the form that `new_id` makes; what is not need not be looked for.

    >>> is_id(new_id("snap"), "snap"), is_id("snap-1", "snap")
    (True, False)
    """
    return re.fullmatch(rf"{prefix}-[0-9a-f]{{32}}", text) is not None

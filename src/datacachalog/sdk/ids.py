"""Ids of runs, made by whoever starts them, so that a start that is repeated is the same run."""

from __future__ import annotations

import os
import time
import uuid


def new_run_id() -> str:
    """A UUID of version 7 (RFC 9562 §5.7), which sorts by the time it was made at.

    >>> len(new_run_id()), uuid.UUID(new_run_id()).version
    (36, 7)
    """
    stamp = time.time_ns() // 1_000_000
    value = (stamp << 80) | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | (0x7 << 76)
    return str(uuid.UUID(int=value & ~(0x3 << 62) | (0x2 << 62)))

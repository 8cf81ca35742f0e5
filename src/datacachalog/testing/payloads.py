"""Bytes that tell where they come from, and witnesses of what a transfer does."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from blake3 import blake3

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def payload(seed: int, size_bytes: int) -> bytes:
    """`size_bytes` incompressible bytes; any part of them differs from every other seed's.

    >>> seed_of(payload(7, 1000))
    7
    """
    head = seed.to_bytes(8, "big")
    return (head + blake3(head).digest(length=max(1, size_bytes)))[:size_bytes]


def seed_of(data: bytes) -> int:
    """The seed that a payload of at least 8 bytes was made of.

    Raises:
        AssertionError: not all of the bytes are of one payload.
    """
    seed = int.from_bytes(data[:8], "big")
    if data != payload(seed, len(data)):
        raise AssertionError(f"these {len(data)} bytes are not all of payload {seed}")
    return seed


def digest_of(data: bytes) -> str:
    """The BLAKE3 of `data`, in hexadecimal."""
    return blake3(data).hexdigest()


def at_once(count: int, act: Callable[[int], T]) -> list[T]:
    """What `act(0)` to `act(count - 1)` return, all begun together, each in a thread of its own."""
    barrier = threading.Barrier(count)

    def begin(number: int) -> T:
        barrier.wait(timeout=30)
        return act(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


class RecordedTransfer:
    """A `TransferProgress` that remembers what it heard, and in which order."""

    def __init__(self) -> None:
        self.totals: list[int] = []
        self.moved_bytes = 0
        self.moved_before_total = False
        self._lock = threading.Lock()

    def total(self, size_bytes: int) -> None:
        """Remembers how much there is to move; nothing of it has moved yet."""
        with self._lock:
            self.totals.append(size_bytes)
            self.moved_bytes = 0

    def advance(self, size_bytes: int) -> None:
        """Adds to what has moved."""
        with self._lock:
            self.moved_bytes += size_bytes
            self.moved_before_total |= not self.totals

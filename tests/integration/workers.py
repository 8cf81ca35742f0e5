"""What other processes do in `test_processes`: importable, so that a spawned one finds it."""

from __future__ import annotations

import hashlib
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

from blake3 import blake3

from datacachalog import Catalog, ConflictError, Dataset, RemoteChangedError
from datacachalog.testing.payloads import seed_of

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

_barrier: list[Barrier] = []


def remember(barrier: Barrier) -> None:
    """Initialises a worker of a pool whose workers wait for one another."""
    _barrier.append(barrier)


def fetch_together(source: str, cache_dir: str) -> tuple[int, str]:
    """The seed of what was fetched, begun by all workers at once, and the outcome."""
    catalog = Catalog([Dataset("customers", source)], cache_dir=cache_dir)
    _barrier[0].wait(timeout=100)
    fetched = catalog.obtain("customers")
    return seed_of(fetched.path.read_bytes()), fetched.outcome.value


def fetch_for_a_while(
    sources: dict[str, str], cache_dir: str, seconds: float, seed: int
) -> tuple[int, list[str]]:
    """How many files were fetched from stores that keep changing, and all that was wrong with one.

    Every path is read twice: when it is returned, and at the end.
    """
    chance = random.Random(seed)
    catalog = Catalog([Dataset(*pair) for pair in sources.items()], cache_dir=cache_dir)
    read: dict[Path, str] = {}
    wrong: list[str] = []
    count, end = 0, time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 or (count == 0 and left > -60):
        name = chance.choice(list(sources))
        try:
            entry = catalog.obtain(name).entry
        except RemoteChangedError:
            continue
        count += 1
        data = entry.path.read_bytes()
        read[entry.path] = digest = blake3(data).hexdigest()
        wrong += _faults(name, data, recorded=entry.digest, found=digest)
        if entry.info.etag != f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"':
            wrong.append(f"{name}: the entity tag {entry.info.etag} is not of these bytes")
    changed = [path for path, was in read.items() if blake3(path.read_bytes()).hexdigest() != was]
    return count, [*wrong, *(f"{path} changed" for path in changed)]


def append_lines(source: str, cache_dir: str, writer: str, lines: int) -> int:
    """Adds lines to an object, one a push, and returns how often another writer was quicker.

    All writers begin with what was there when none had pushed.
    """
    catalog = Catalog([Dataset("log", source)], cache_dir=cache_dir)
    draft = Path(f"{cache_dir}.draft")
    conflicts = number = 0
    is_first = True
    while number < lines:
        draft.write_bytes(catalog.fetch("log").read_bytes() + f"{writer} {number}\n".encode())
        if is_first:
            _barrier[0].wait(timeout=100)
            is_first = False
        try:
            catalog.push("log", draft)
        except ConflictError:
            conflicts += 1
        else:
            number += 1
    return conflicts


def _faults(name: str, data: bytes, *, recorded: str, found: str) -> list[str]:
    try:
        seed_of(data)
    except AssertionError as error:
        return [f"{name}: {error}"]
    return [] if recorded == found else [f"{name}: recorded as {recorded}"]

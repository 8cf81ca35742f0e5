"""What the tests of faults share: a dataset whose store is a folder or S3, and what must hold."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blake3 import blake3

from datacachalog import Catalog, Dataset
from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.cache.owners import owner_is_gone
from datacachalog.testing.payloads import payload, seed_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SMALL = 100_003
TWO_PARTS = (3 << 20) + 1003


@dataclass
class World:
    """One dataset, `customers`, its store, and a cache; each test position gets a copy of it."""

    folder: Path
    source: str
    put: Callable[[bytes], None]
    size_bytes: int = SMALL

    @property
    def cache_dir(self) -> Path:
        return self.folder / "cache"

    @property
    def file(self) -> Path:
        """What is pushed."""
        return self.folder / "new.csv"

    @property
    def names(self) -> dict[str, str]:
        """What a program in the nursery has to know."""
        return {"source": self.source, "cache_dir": str(self.cache_dir)}

    def catalog(self) -> Catalog:
        return Catalog([Dataset("customers", self.source)], cache_dir=self.cache_dir)

    def change(self, seed: int) -> None:
        """Makes a payload what the store holds."""
        self.put(payload(seed, self.size_bytes))

    @contextmanager
    def copied(self, cache: Path | None = None) -> Iterator[None]:
        """The cache as it is in `cache`, or none, for the length of the block."""
        if cache is not None:
            shutil.copytree(cache, self.cache_dir, ignore=_pins)
        yield
        shutil.rmtree(self.cache_dir, ignore_errors=True)


def _pins(folder: str, names: list[str]) -> list[str]:
    """Those of the test itself, which go whenever its catalogs do."""
    return names if folder.endswith("/pins") else []


def local_world(folder: Path, size_bytes: int = SMALL) -> World:
    """A dataset that is a file, replaced as a careful program replaces one."""
    store = folder / "store"
    store.mkdir()

    def put(data: bytes) -> None:
        (store / "fresh").write_bytes(data)
        (store / "fresh").rename(store / "customers.csv")

    return World(folder, str(store / "customers.csv"), put, size_bytes)


def assert_sound(cache_dir: Path, *seeds: int) -> None:
    """Every file that a reader could take for a dataset is one whole payload of these."""
    found = list((cache_dir / "v1" / "objects").glob("*/*/*.csv"))
    assert {seed_of(path.read_bytes()) for path in found} <= set(seeds)
    entries = list(DirectoryCache(cache_dir).entries())
    assert [e.digest for e in entries] == [blake3(e.path.read_bytes()).hexdigest() for e in entries]
    assert {path.parent for path in found} == {entry.path.parent for entry in entries}


def leftovers(cache_dir: Path) -> list[Path]:
    """What is unfinished, or on its way out."""
    home = cache_dir / "v1"
    of_the_dead = [
        path for path in (home / "pins").glob("*") if owner_is_gone(path.name.removeprefix("."))
    ]
    return [*(home / "partial").glob("*"), *(home / "trash").glob("*"), *of_the_dead]


def lose_the_end(path: Path) -> None:
    """Has the last 4 KiB of a file be zeros, as if they had not reached the disk before its name.

    Its size and its time are as they were.
    """
    status = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(-4096, os.SEEK_END)
        file.write(bytes(4096))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def start_anew(cache_dir: Path) -> None:
    """Has every entry of a cache be of another boot than the present one."""
    for record in (cache_dir / "v1" / "objects").glob("*/*/.entry.json"):
        written = record.read_text()
        found = json.loads(written)
        record.write_text(written.replace(json.dumps(found["boot"]), '"of yesterday"'))

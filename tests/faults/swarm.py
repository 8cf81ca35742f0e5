"""One of many processes on one cache, and the bytes that tell what they are of.

Run by `test_swarm` with its settings in JSON, until it is killed, it is over or its time is up.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from datacachalog import (
    Catalog,
    Dataset,
    Outcome,
    RemoteChangedError,
    StaleWarning,
    StorageUnavailableError,
)
from datacachalog.testing.payloads import payload, seed_of

_VERSIONS = 1 << 32


def object_of(dataset: int, version: int) -> bytes:
    """The bytes of one version of a dataset: any of them tell both, and how many there are."""
    seed = dataset * _VERSIONS + version
    return payload(seed, _size_of(seed))


def told_by(data: bytes) -> tuple[int, int]:
    """The dataset and the version that bytes are of.

    Raises:
        AssertionError: they are not all of the bytes of one version of one dataset.
    """
    seed = seed_of(data)
    assert len(data) == _size_of(seed), f"{len(data)} of {_size_of(seed)} bytes of {seed:x}"
    return divmod(seed, _VERSIONS)


def _size_of(seed: int) -> int:
    """Mostly small, at times of two parts; never the same for two versions in a row."""
    return (5 << 20) + seed % 997 if seed % 11 == 0 else 1000 + seed * 7919 % 60_000


def name_of(dataset: int) -> str:
    return f"table-{dataset}"


class Versions:
    """The latest version of each dataset that was stored completely, shared by all processes."""

    def __init__(self, file: Path, count: int) -> None:
        if not file.exists():
            file.write_bytes(bytes(8 * count))
        self._fd = os.open(file, os.O_RDWR)

    def __getitem__(self, dataset: int) -> int:
        return int.from_bytes(os.pread(self._fd, 8, 8 * dataset), "big")

    def __setitem__(self, dataset: int, version: int) -> None:
        os.pwrite(self._fd, version.to_bytes(8, "big"), 8 * dataset)

    def close(self) -> None:
        os.close(self._fd)


def catalog_of(settings: dict[str, Any]) -> Catalog:
    """All datasets of the swarm."""
    bucket, count = settings["bucket"], settings["datasets"]
    made = [Dataset(name_of(n), f"s3://{bucket}/{name_of(n)}.csv") for n in range(count)]
    return Catalog(made, cache_dir=settings["cache_dir"])


class _Worker:
    def __init__(self, settings: dict[str, Any]) -> None:
        self._count = settings["datasets"]
        self._cache_dir = Path(settings["cache_dir"])
        self._versions = Versions(Path(settings["versions"]), self._count)
        self._catalog = catalog_of(settings)
        self._chance = random.Random(settings["seed"])
        self._seen: dict[Path, bytes] = {}

    def act(self) -> None:
        """Does one thing, mostly a fetch."""
        dataset = self._chance.randrange(self._count)
        name = name_of(dataset)
        match self._chance.randrange(40):
            case 0:
                self._catalog.invalidate(name)
            case 1:
                (found,) = self._catalog.verify([name])
                assert not found.damaged, f"{name} was damaged: {found.damaged}"
            case 2:
                self._collect_garbage()
            case 3 | 4:
                self._read_anything()
            case 5 | 6:
                self._read_again()
            case _:
                self._fetch(dataset)

    def _fetch(self, dataset: int) -> None:
        """What comes is whole, and no older than what was there when it was asked for."""
        before = self._versions[dataset]
        fetched = self._catalog.obtain(name_of(dataset))
        data = fetched.path.read_bytes()
        found, version = told_by(data)
        assert found == dataset, f"{name_of(dataset)} got bytes of {name_of(found)}"
        if fetched.outcome is not Outcome.STALE:
            assert version >= before, f"{name_of(dataset)} is {version}, and was {before} before"
        self._seen[fetched.path] = data[:64]

    def _read_anything(self) -> None:
        """Whatever another process has published."""
        with suppress(FileNotFoundError):  # it, or a folder, was removed since it was listed
            found = list((self._cache_dir / "v1" / "objects").glob("*/*/*.csv"))
            if found:
                path = self._chance.choice(found)
                dataset, _ = told_by(path.read_bytes())
                assert path.name == f"{name_of(dataset)}.csv", f"{path} has bytes of {dataset}"

    def _read_again(self) -> None:
        """A path that was handed out is what it was."""
        for path, begin in self._chance.sample(list(self._seen.items()), min(5, len(self._seen))):
            data = path.read_bytes()
            told_by(data)
            assert data.startswith(begin), f"{path} changed"

    def _collect_garbage(self) -> None:
        """Superseded entries go while others read; what a living process has stays."""
        self._catalog.gc()


def main() -> None:
    """Works until the time is up; what is wrong is written to a file of its own."""
    settings = json.loads(sys.argv[1])
    warnings.simplefilter("ignore", StaleWarning)
    report = Path(settings["reports"]) / str(os.getpid())
    worker, done, refused = _Worker(settings), 0, 0
    over = Path(settings["over"])
    while time.time() < settings["until"] and not over.exists():
        try:
            worker.act()
            done += 1
        except (RemoteChangedError, StorageUnavailableError):
            refused += 1
        except Exception:
            with report.with_suffix(".wrong").open("a") as file:
                file.write(traceback.format_exc())
        report.with_suffix(".done").write_text(f"{done} {refused}")


if __name__ == "__main__":
    main()

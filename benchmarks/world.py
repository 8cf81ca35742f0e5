"""Everything a benchmark leans on: the server, its objects, folders on one disk, sizes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import ROOT, ContenderFailedError, take_turns
from tests.servers.seaweedfs import SeaweedFS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from benchmarks.harness import Contender, Measurement

_SCRATCH = ROOT / ".benchmarks"  # not in /tmp, which may be memory; not in git


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    runs: int
    slow_runs: int
    big_mib: int
    small_count: int
    growth_mib: int
    growth_count: int
    calls: int
    small_kib: int = 16


FULL = Scale(
    runs=5, slow_runs=3, big_mib=512, small_count=1000, growth_mib=64, growth_count=100, calls=500
)
QUICK = Scale(
    runs=1, slow_runs=1, big_mib=64, small_count=200, growth_mib=64, growth_count=40, calls=200
)


@dataclass(frozen=True)
class Objects:
    """Objects in the store: their bucket, keys, and what they must look like when fetched."""

    bucket: str
    keys: tuple[str, ...]
    keys_file: Path
    digest: str
    total_bytes: int


@dataclass(frozen=True)
class World:
    """A server and the folders of one run of the benchmarks."""

    server: SeaweedFS
    folder: Path
    scale: Scale

    @property
    def environment(self) -> dict[str, str]:
        """All variables of the measured processes; nothing of the caller's gets in."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
            **self.server.environment(),
        }

    def measure(
        self, contenders: Iterable[Contender], *, runs: int | None = None
    ) -> dict[str, Measurement]:
        """All contenders in turns; written data is on the disk before the first."""
        os.sync()
        return take_turns(
            list(contenders),
            runs=runs or self.scale.runs,
            environment=self.environment,
            folder=self.folder,
        )

    def new_file(self, name: str, mib: int) -> Path:
        """A file of random bytes, which nothing can compress."""
        path = self.folder / name
        with path.open("wb") as file:
            for _ in range(mib):
                file.write(os.urandom(2**20))
        return path

    def upload_one(self, mib: int) -> Objects:
        """One object of random bytes, in a bucket of its own."""
        path = self.new_file("payload.bin", mib)
        bucket, client = self.server.bucket(), self.server.client()
        client.upload_file(str(path), bucket, "big/payload.bin")
        digest = digest_of([path])
        path.unlink()
        return self._objects(bucket, ["big/payload.bin"], digest, mib * 2**20)

    def upload_many(self, count: int) -> Objects:
        """Small objects of random bytes, in a bucket of their own, below `small/`."""
        bucket, client = self.server.bucket(), self.server.client()
        size = self.scale.small_kib * 1024
        bodies = {f"small/object-{number:05}.bin": os.urandom(size) for number in range(count)}
        with ThreadPoolExecutor(8) as pool:
            put = [
                pool.submit(client.put_object, Bucket=bucket, Key=key, Body=body)
                for key, body in bodies.items()
            ]
        for each in put:
            each.result()
        digest = hashlib.sha256(b"".join(bodies.values())).hexdigest()
        return self._objects(bucket, list(bodies), digest, count * size)

    def drop(self, bucket: str) -> None:
        """Removes a bucket with all that is in it."""
        client = self.server.client()
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for each in page.get("Contents", []):
                client.delete_object(Bucket=bucket, Key=each["Key"])
        client.delete_bucket(Bucket=bucket)

    def _objects(self, bucket: str, keys: list[str], digest: str, total_bytes: int) -> Objects:
        keys_file = self.folder / f"{bucket}.keys"
        keys_file.write_text("\n".join(keys))
        return Objects(bucket, tuple(keys), keys_file, digest, total_bytes)


class Verified:
    """Checks what a contender left: the bytes once, the sizes every time."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._compared = False

    def __call__(self, out: Path) -> None:
        names = {Path(key).name for key in self._objects.keys}
        files = sorted(
            (each for each in out.rglob("*") if each.name in names and each.is_file()),
            key=lambda each: each.name,
        )
        total = sum(each.stat().st_size for each in files)
        if (len(files), total) != (len(names), self._objects.total_bytes):
            raise ContenderFailedError(f"left {len(files)} files of {total} bytes")
        if not self._compared and digest_of(files) != self._objects.digest:
            raise ContenderFailedError("left other bytes than the store has")
        self._compared = True


@contextlib.contextmanager
def new_world(scale: Scale) -> Iterator[World]:
    """A world that is gone afterwards, its server too."""
    _SCRATCH.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=_SCRATCH))
    try:
        (folder / "home").mkdir()
        server = SeaweedFS.start(folder)
        try:
            yield World(server, folder, scale)
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def digest_of(files: Iterable[Path]) -> str:
    """The SHA-256 of all their bytes, one file after the other."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    return digest.hexdigest()

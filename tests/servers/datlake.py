"""`datlake serve` as a process of its own, on SQLite, with a folder of objects beside it."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
import urllib.request
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.servers.processes import HeldPorts, ServerDidNotStartError, ServerProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

DATLAKE = Path(sys.executable).with_name("datlake")
_START_S = 60


# Whatever proxy the environment of a test names.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class DatlakeServer:
    """A registry that runs until `stop` or `kill`, and again from `start` on, with all it knew.

    `base_url` stays the same; so does `admin_key`, which may do everything. `more` are further
    variables of its environment, from the next start on, such as those of a store.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        folder.mkdir(parents=True)
        self.folder, self.data_dir = folder, folder / "data"
        self.more: dict[str, str] = dict(environment or {})
        self._ports = HeldPorts(1)  # also while it is down
        (self.port,) = self._ports
        self.base_url = f"http://127.0.0.1:{self.port}"
        self._starts = 0
        self.start()
        found = re.search(r"dlk_\S+", self.log())
        assert found is not None, self.log()
        self.admin_key = found[0]

    @property
    def objects(self) -> Path:
        """The folder of its own storage location, the bucket `objects` of uploads."""
        return self.data_dir / "objects"

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        """Starts it at the same address, on what is there; returns when it answers.

        Raises:
            ServerDidNotStartError: it ended, or did not answer in time.
        """
        self._starts += 1
        kept = {n: v for n, v in os.environ.items() if n in {"PATH", "LANG", "TMPDIR"}}
        self._process = ServerProcess(
            [str(DATLAKE), "--data-dir", str(self.data_dir), "serve", "--port", str(self.port)],
            folder=self.folder,
            environment=kept | {"HOME": str(self.folder)} | self.more,
            log=self.folder / f"log-{self._starts}.txt",
        )
        deadline = time.monotonic() + _START_S
        while not self.is_up():
            if self._process.ended() or time.monotonic() > deadline:
                raise ServerDidNotStartError(self._process.log_tail())
            time.sleep(0.02)

    def stop(self) -> None:
        """Ends it as whoever runs it would; may be called again."""
        self._process.stop()

    def kill(self) -> None:
        """Ends it as a power cut would."""
        if not self._process.ended():
            os.kill(self.pid, signal.SIGKILL)
        self._process.stop()

    def log(self) -> str:
        """What it wrote since it was started last."""
        return self._process.log.read_text(errors="replace")

    def is_up(self) -> bool:
        """Whether it answers."""
        try:
            with _OPENER.open(self._request("GET", "/healthz"), timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The JSON of an answer to a request, without the SDK; `path` begins below `/api/v1`.

        Raises:
            urllib.error.HTTPError: it was refused.
        """
        request = self._request(method, f"/api/v1{path}")
        request.add_header("Authorization", f"Bearer {key or self.admin_key}")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        with _OPENER.open(request, timeout=60) as answer:
            told = answer.read()
        return json.loads(told) if told else None

    def _request(self, method: str, path: str) -> urllib.request.Request:
        address = f"{self.base_url}{path}"
        return urllib.request.Request(address, method=method)  # noqa: S310 - our own server

    def principal(self, *granted: tuple[str, str], name: str | None = None) -> str:
        """The key of a new principal, with these grants: such as ("SELECT", "table:people")."""
        who = name or f"p-{uuid.uuid4().hex[:12]}"
        self.ask("POST", "/principals", {"name": who, "kind": "service"})
        for privilege, on in granted:
            self.ask("POST", "/grants", {"privilege": privilege, "on": on, "to": who})
        made = self.ask("POST", "/api-keys", {"principal": who, "name": "test"})
        return str(made["key"])

    def object(self, data: bytes, name: str | None = None) -> str:
        """The URI of a new object in its own location."""
        path = self.objects / (name or f"{uuid.uuid4().hex}.csv")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path.as_uri()

    def registered(self, table: str, uri: str, form: str = "parquet") -> str:
        """The id of the snapshot that an object becomes, when it is there."""
        asked = {"table_name": table, "uri": uri, "format": form}
        job = self.ask("POST", "/jobs/register-snapshot", asked)
        deadline = time.monotonic() + 60
        while job["status"] in {"queued", "running"}:
            assert time.monotonic() < deadline, job
            job = self.ask("GET", f"/jobs/{job['job_id']}?wait=10")
        assert job["status"] == "completed", job
        return str(job["result"]["snapshot_id"])

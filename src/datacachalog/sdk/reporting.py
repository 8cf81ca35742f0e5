"""What is done and told inside of a run."""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, time
from enum import Enum
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from datacachalog.domain.errors import RunStateError
from datacachalog.sdk import functional
from datacachalog.sdk.functional import of_run
from datacachalog.sdk.records import Artifact
from datacachalog.sdk.result import Err, map_err

if TYPE_CHECKING:
    from datacachalog.domain.errors import ApiError
    from datacachalog.sdk.client import DatlakeClient
    from datacachalog.sdk.functional import Run
    from datacachalog.sdk.run_logs import RunLogs

_PROGRESS_EVERY_S: Final = 1.0
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class State(Enum):
    """How far a run is, as its own process knows."""

    NEW = "not started"
    RUNNING = "running"
    OVER = "over"


class Reporting:
    """The part of `JobContext` that is used inside of its block.

    Every method raises `RunStateError` where the run is not going on. Threads may call them.
    """

    def __init__(self, client: DatlakeClient, bucket: str, logs: RunLogs) -> None:
        self.client, self._bucket, self._logs = client, bucket, logs
        self._run: Run | None = None
        self._state = State.NEW
        self._added: dict[str, Any] = {}
        self._artifacts: list[Artifact] = []
        self._troubles: list[ApiError] = []
        self._progress_at = float("-inf")

    @property
    def run(self) -> Run:
        """The run, as the functions take it; it may be handed to other processes.

        Raises:
            RunStateError: it was not started.
        """
        if self._run is None:
            raise RunStateError("the run was not started yet")
        return self._run

    @property
    def job_name(self) -> str:
        """The name of its job."""
        return self.run.job_name

    @property
    def run_id(self) -> str:
        """The id of its run."""
        return self.run.run_id

    def _require_running(self) -> Run:
        if self._state is not State.RUNNING:
            raise self._state_error()
        return self.run

    def _state_error(self) -> RunStateError:
        if self._run is None:
            return RunStateError("the run was not started yet")
        told = f"the run of {self._run.job_name!r} is {self._state.value}"
        return RunStateError(told, run_id=self._run.run_id)

    # --- tables

    def get_table_latest_uri(self, table_name: str) -> str:
        """Where the current snapshot of a table is, which becomes an input of the run.

        Where the policy lets a missing table pass (`continue_on_not_found`), `""`.
        """
        run = self._require_running()
        return functional.fetch_latest_uri(self.client, run, table_name).value.uri

    def resolve_table_uri(self, table_name: str) -> str:
        """The same as `get_table_latest_uri`."""
        return self.get_table_latest_uri(table_name)

    def register_snapshot(
        self,
        table_name: str,
        uri: str,
        format: str = "parquet",  # noqa: A002 - as in the plan
        schema: Mapping[str, Any] | None = None,
        *,
        timeout_s: float = functional.TIMEOUT_S,
    ) -> dict[str, Any]:
        """Makes an object the next snapshot of a table, which becomes an output of the run.

        It is done when this returns: `table_name`, `snapshot_id` and `uri`. After `timeout_s` that
        is an error, and it may still be done.
        """
        run = self._require_running()
        done = functional.register_snapshot(
            self.client, run, table_name, uri, format=format, schema=schema, timeout_s=timeout_s
        )
        return asdict(done.value)

    # --- other data: a `Recorder`

    def read(self, table_name: str, snapshot_id: str) -> None:
        """Notes a snapshot that was read otherwise as an input; nothing is asked."""
        self.run.lineage.read(table_name, snapshot_id)

    def wrote(self, table_name: str, snapshot_id: str) -> None:
        """Notes a snapshot that was made otherwise as an output; nothing is asked."""
        self.run.lineage.wrote(table_name, snapshot_id)

    def read_object(self, uri: str) -> None:
        """Notes an object that is in no table as an input, without query or credentials."""
        self.run.lineage.read_object(uri)

    def wrote_object(self, uri: str) -> None:
        """Notes an object that is in no table as an output, without query or credentials."""
        self.run.lineage.wrote_object(uri)

    # --- events

    def log_event(self, event_type: str, data: Mapping[str, Any] | None = None) -> None:
        """Tells of something that happened; who follows events sees it as `custom.EVENT_TYPE`."""
        run = self._require_running()
        _ = functional.publish_event(self.client, run, event_type, plain(data)).value

    def progress(self, done: float, total: float | None = None) -> None:
        """Tells how far the run is, as an event `progress`; may be called as often as one likes.

        At most once a second, and at the end, the registry is told. Where it cannot be, the run
        goes on.
        """
        run, now = self._require_running(), monotonic()
        if now - self._progress_at < _PROGRESS_EVERY_S and done != total:
            return
        self._progress_at = now
        data = {"done": done} if total is None else {"done": done, "total": total}
        told = functional.publish_event(self.client, run, "progress", plain(data))
        if isinstance(told, Err):
            self._troubles.append(told.error)

    def add_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Adds to what is known of the run, when it is completed."""
        self._require_running()
        self._added.update(plain(metadata))

    # --- artifacts

    def attach_log(self, filepath: str | os.PathLike[str]) -> None:
        """Has a file be uploaded as a log of the run when it is completed, whatever it holds then.

        Where there is none then, or it cannot be uploaded, that is a warning and an event.
        """
        self._require_running()
        self._logs.add(os.fspath(filepath))

    def attach_json(self, name: str, data: object) -> str:
        """Uploads data, such as metrics, as an artifact of the type `json`; its URI.

        Raises:
            ValueError: `name` is no simple file name; `.json` is added to it.
        """
        text = json.dumps(_plain(data), indent=2, ensure_ascii=False)
        return self._attach("json", name, text)

    def attach_html(self, name: str, html: str) -> str:
        """Uploads a report as an artifact of the type `html`; its URI.

        Raises:
            ValueError: `name` is no simple file name; `.html` is added to it.
        """
        return self._attach("html", name, html)

    def attach_file(self, path: str | os.PathLike[str], kind: str = "file") -> str:
        """Uploads a file as it is now as an artifact, by its own name; its URI.

        Raises:
            ValueError: that is no simple file name.
        """
        return self._upload(kind, Path(path).name, Path(path))

    def _attach(self, kind: str, name: str, text: str) -> str:
        with tempfile.TemporaryDirectory(prefix="datlake-artifact-") as folder:
            file = Path(folder) / "artifact"
            file.write_text(text, "utf-8")
            return self._upload(kind, f"{name}.{kind}", file)

    def _upload(self, kind: str, name: str, file: Path) -> str:
        run = self._require_running()
        if not _NAME.fullmatch(name):
            raise ValueError(f"the name of an artifact has letters, digits, . _ -, unlike {name!r}")
        place = f"jobs/{run.job_name}/{run.run_id}/{name}"
        done = functional.upload_object(self.client, self._bucket, place, str(file))
        uri = map_err(done, lambda error: of_run(error, run)).value
        self._artifacts.append(Artifact(kind, uri))
        return uri


def plain(data: Mapping[str, Any] | None) -> dict[str, Any]:
    """The same as JSON has it.

    Numbers of NumPy and the like are numbers, times and paths are texts; what is no number, as NaN,
    is null.

    Raises:
        TypeError: there is something in it that JSON has no word for.

    >>> plain({"loss": float("nan"), "file": Path("a.csv")})
    {'loss': None, 'file': 'a.csv'}
    """
    return {str(name): _plain(value) for name, value in (data or {}).items()}


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return float(value) if math.isfinite(value) else None
        case Mapping():
            return plain(value)
        case list() | tuple() | set() | frozenset():
            return [_plain(one) for one in value]
        case date() | time():
            return value.isoformat()
        case os.PathLike():
            return os.fspath(value)
    listed = getattr(value, "tolist", None)  # of NumPy and the like, which are not known here
    if not callable(listed):
        raise TypeError(f"JSON has no word for an {type(value).__name__}")
    return _plain(listed())

"""A run that the registry is told of while a program runs, and when it has ended."""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from datacachalog.cli import messages
from datacachalog.domain.errors import DatacachalogError, TransientError
from datacachalog.sdk.functional import log_name
from datacachalog.sdk.heartbeats import Heartbeats
from datacachalog.sdk.records import Artifact
from datacachalog.sdk.surrounding import SurroundingRun

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datacachalog.cli.datlake.client.wrapping import Ended
    from datacachalog.sdk.client import DatlakeClient
    from datacachalog.sdk.runs import Ended as Status

T = TypeVar("T")

_PATIENCE_S: Final = 60.0
_PAUSE_S: Final = 1.0


def warn(message: str) -> None:
    """Tells people of something that is wrong, if they can be told: the program's end counts."""
    with suppress(OSError):
        messages.warn(message)


class RecordedRun:
    """A run that has begun. What the registry does not take is warned of, and ends nothing."""

    def __init__(self, client: DatlakeClient, run: SurroundingRun, interval_s: int) -> None:
        self.run, self._client = run, client
        self._beats = Heartbeats(
            lambda: client.heartbeat(run.job_name, run.run_id), interval_s, run.run_id, warn
        )

    def end(self, ended: Ended, log: Path | None) -> None:
        """Uploads the log, and tells how it ended; waits a minute for a registry that is away."""
        self._beats.stop()
        status: Status = "success" if ended.is_well else "failed" if not ended.told else "aborted"
        run = self.run
        try:
            artifacts = self._shipped(log)
            self._insistently(
                lambda: self._client.complete_run(
                    run.job_name,
                    run.run_id,
                    status,
                    error=ended.reason,
                    metadata={"exit_code": ended.code},
                    artifacts=artifacts,
                )
            )
        except KeyboardInterrupt:
            warn(f"interrupted: run {run.run_id} stays open, until it is taken for lost")
        except DatacachalogError as error:
            warn(f"run {run.run_id} stays open, until it is taken for lost: {error}")

    def _shipped(self, log: Path | None) -> list[Artifact]:
        if log is None or (log.exists() and log.stat().st_size == 0):
            return []
        run, bucket = self.run, self._client.settings.artifact_bucket
        name = log_name(run.job_name, run.run_id)
        try:
            uri = self._insistently(lambda: self._client.upload_object(bucket, name, log))
        except DatacachalogError as error:
            warn(f"the log of run {run.run_id} is not kept: {error}")
            return []
        return [Artifact("log", uri)]

    def _insistently(self, work: Callable[[], T]) -> T:
        until, is_told = time.monotonic() + _PATIENCE_S, False
        while True:
            try:
                return work()
            except TransientError as error:
                if time.monotonic() > until:
                    raise
                if not is_told:
                    warn(f"{error}; trying for a minute, which Ctrl-C ends")
                    is_told = True
            time.sleep(_PAUSE_S)


def start(
    client: DatlakeClient, job_name: str, program: str, interval_s: int, parent: str | None
) -> RecordedRun:
    """Begins a run.

    Raises:
        ApiError: the registry does not take it.
    """
    made = client.start_run(
        job_name,
        {"program": program},
        run_id=str(uuid.uuid4()),
        parent_run_id=parent,
        heartbeat_interval_s=interval_s,
    )
    return RecordedRun(client, SurroundingRun(made.job_name, made.run_id, parent), interval_s)

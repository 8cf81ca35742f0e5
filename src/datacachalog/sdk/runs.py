"""Runs of jobs."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from datacachalog.adapters.api.reading import record
from datacachalog.adapters.api.transport import Ask, segment
from datacachalog.sdk.base import Base, without_nothing
from datacachalog.sdk.records import Artifact, Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Ended: TypeAlias = Literal["success", "failed", "aborted"]
Data: TypeAlias = "Mapping[str, str | None]"
"""`{"table_name": …, "snapshot_id": …}`, the second if it is known; or `{"uri": …}`."""


class Runs(Base):
    """What `DatlakeClient` does with runs; `JobContext` does it all for a block.

    Every method raises `ApiError`.
    """

    def start_run(
        self,
        job_name: str,
        metadata: Mapping[str, Any] | None = None,
        *,
        run_id: str | None = None,
        parent_run_id: str | None = None,
        inputs: Iterable[Data] = (),
        heartbeat_interval_s: int | None = None,
    ) -> Run:
        """Starts a run of a job. Again with the same `run_id`, a UUID, it is the same run.

        With `heartbeat_interval_s`, it is lost when three beats in a row do not come.
        """
        body = without_nothing(
            run_id=run_id,
            parent_run_id=parent_run_id,
            metadata=dict(metadata or {}),
            inputs=_told(inputs),
            heartbeat_interval_s=heartbeat_interval_s,
        )
        return self._run(Ask("POST", f"/jobs/{segment(job_name)}/runs", json=body))

    def heartbeat(self, job_name: str, run_id: str) -> None:
        """Says that a run is alive.

        Raises:
            ApiConflictError: it is over.
        """
        path = f"/jobs/{segment(job_name)}/runs/{segment(run_id)}/heartbeat"
        self.transport.ask(Ask("POST", path))

    def complete_run(
        self,
        job_name: str,
        run_id: str,
        status: Ended,
        *,
        error: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        inputs: Iterable[Data] = (),
        outputs: Iterable[Data] = (),
        artifacts: Iterable[Artifact] = (),
    ) -> Run:
        """Ends a run, once; the same again changes nothing, but may add artifacts.

        Raises:
            ApiConflictError: it has ended otherwise.
        """
        body = without_nothing(
            status=status,
            error=error,
            metadata=dict(metadata or {}),
            inputs=_told(inputs),
            outputs=_told(outputs),
            artifacts=[asdict(one) for one in artifacts],
        )
        path = f"/jobs/{segment(job_name)}/runs/{segment(run_id)}/complete"
        return self._run(Ask("PUT", path, json=body))

    def get_run(self, run_id: str) -> Run:
        """A run, and what is known of its data."""
        return self._run(Ask("GET", f"/runs/{segment(run_id)}"))

    def list_runs(self, job_name: str) -> Iterator[Run]:
        """The runs of a job that the caller may know of, the newest first, without their data."""
        return self._all(Run, f"/jobs/{segment(job_name)}/runs")

    def _run(self, asked: Ask) -> Run:
        found = self._one(Run, asked)
        return replace(found, artifacts=tuple(record(Artifact, one) for one in found.artifacts))


def _told(data: Iterable[Data]) -> list[dict[str, str]]:
    return [without_nothing(**one) for one in data]

"""Registrations, and the objects that they are of."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datacachalog.adapters.api.reading import record, text_of
from datacachalog.adapters.api.transport import Ask, segment
from datacachalog.domain.registry import Registration
from datacachalog.ports import SILENT
from datacachalog.sdk.base import Base
from datacachalog.sdk.records import Job

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datacachalog.ports import TransferProgress

_TIMEOUT_S = 300.0


class Jobs(Base):
    """What `DatlakeClient` does to make snapshots. Every method raises `ApiError`."""

    def register_snapshot(  # noqa: PLR0913 - what a registration has, all by name
        self,
        table_name: str,
        uri: str,
        format: str = "parquet",  # noqa: A002 - the API's word
        schema: Mapping[str, Any] | None = None,
        *,
        expected_parent: str | None = None,
        job_name: str | None = None,
        run_id: str | None = None,
        wait: bool = True,
        timeout_s: float = _TIMEOUT_S,
        idempotency_key: str | None = None,
    ) -> Job:
        """Makes an object that is in the store the next snapshot of a table.

        The registry looks at the object and finds its `schema`, unless given as a snapshot has it.
        `expected_parent` is the id of the snapshot that it must follow, or `none`. `job_name` and
        `run_id` are of the run that wrote it. With `wait`, it is done when this returns: the job's
        `snapshot_id` is the new snapshot. The same `idempotency_key` again is the same job.

        Raises:
            ApiConflictError: another snapshot is current than `expected_parent`.
            JobFailedError: the object cannot be a snapshot; its `code` says why.
            TransientError: it is not done after `timeout_s`; it goes on, and asking again for
                the same object is the same snapshot.
        """
        asked = Registration(table_name, uri, format, schema, expected_parent, job_name, run_id)
        job_id = self._http.accepted(asked, idempotency_key)
        try:
            return self.wait_for_job(job_id, timeout_s) if wait else self.get_job(job_id)
        finally:  # also where it fails: another snapshot may be current than we know of
            self._cached.changed(table_name)

    def get_job(self, job_id: str, *, wait_s: float = 0) -> Job:
        """A registration as it stands, or, at most `wait_s` later, as it has ended."""
        return self._told(record(Job, self._http.job(job_id, math.ceil(wait_s))))

    def wait_for_job(self, job_id: str, timeout_s: float = _TIMEOUT_S) -> Job:
        """A registration, when it is completed.

        Raises:
            JobFailedError: it ended otherwise; its `code` says why.
            TransientError: it has not ended after `timeout_s`.
        """
        return self._told(record(Job, self._http.ended(job_id, timeout_s)))

    def _told(self, job: Job) -> Job:
        """Has the caller see the snapshot of a job that it knows to be completed."""
        if job.result is not None and isinstance(table_name := job.result.get("table_name"), str):
            self._cached.changed(table_name)
        return job

    def cancel_job(self, job_id: str) -> Job:
        """Has a registration not be done, where it is not done yet."""
        return self._one(Job, Ask("POST", f"/jobs/{segment(job_id)}/cancel"))

    def upload_object(
        self,
        bucket: str,
        object_name: str,
        file_path: str | os.PathLike[str],
        *,
        replace: bool = True,
        progress: TransferProgress = SILENT,
    ) -> str:
        """Puts a local file where the registry keeps objects; the URI that may be registered.

        It is streamed, compared by SHA-256, and there whole or not at all. The bucket `objects` is
        the registry's own; others are those of its locations. Without `replace`, only as a new one.

        Raises:
            ApiConflictError: there is such an object, or it is a table's.
            LocalFileError: `file_path` is not a file that can be read.
        """
        stored = self._http.stored(
            Path(file_path), bucket, object_name, progress, is_new=not replace
        )
        return text_of(stored, "uri")

    def download_object(
        self,
        bucket: str,
        object_name: str,
        file_path: str | os.PathLike[str],
        *,
        progress: TransferProgress = SILENT,
    ) -> Path:
        """Writes an object that the registry has to a local file, whole or not at all; its path.

        Raises:
            OSError: `file_path` cannot be written.
        """
        path = Path(file_path)
        partial = path.with_name(f".{path.name}.{os.urandom(8).hex()}.partial")
        try:
            self._http.download(bucket, object_name, partial, progress)
            return partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

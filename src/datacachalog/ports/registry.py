"""The registry of tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from datacachalog.ports.progress import SILENT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from datacachalog.domain.registry import Registration, Snapshot
    from datacachalog.ports.progress import TransferProgress


class DatlakeApiPort(Protocol):
    """A registry of tables and their snapshots, as far as a catalog asks it.

    Every method but `identity` raises, and raises nothing else that is not a bug:

    - `ConfigurationError` where it is not known which registry to ask, or as whom
    - `AuthError`, and `ForbiddenError` for what the caller may not see, be it there or not
    - `NotFoundError` where there is no such table or snapshot
    - `TransientError` where the registry cannot be reached or cannot answer, in bounded time
    - `ServerError` where it fails, or is none
    - `ValidationError` where a name cannot be one, or what is asked for makes no sense
    """

    def identity(self) -> str:
        """The address of the registry; stable, never holds a credential, costs no request."""
        ...

    def latest(self, table_name: str) -> Snapshot:
        """The current snapshot of a table."""
        ...

    def latest_as_of(self, table_name: str, as_of: datetime) -> Snapshot:
        """The snapshot that was current at a time, which is aware.

        After a rollback that is not the one that was made last. None was current before the first
        was made: that is a `NotFoundError` too.
        """
        ...

    def snapshot(self, table_name: str, snapshot_id: str) -> Snapshot:
        """One snapshot, which never changes."""
        ...

    def snapshots(self, table_name: str) -> Iterator[Snapshot]:
        """Every snapshot of a table, newest first; without their schemas."""
        ...

    def register(self, asked: Registration) -> Snapshot:
        """Makes a snapshot of an object, and returns it when it is there.

        Asked again for the same object, unchanged, it is the same snapshot.

        Raises:
            ApiConflictError: another snapshot is current than `expected_parent`.
            JobFailedError: the object cannot be a snapshot; its `code` says why.
        """
        ...

    def upload(
        self, path: Path, bucket: str, name: str, progress: TransferProgress = SILENT
    ) -> str:
        """Puts a local file where the registry keeps objects, as a new one; its URI.

        Raises:
            ApiConflictError: there is such an object, be it of the same bytes.
            LocalFileError: `path` is not a file that can be read.
        """
        ...

    def download_snapshot(
        self, snapshot: Snapshot, dest: Path, progress: TransferProgress = SILENT
    ) -> None:
        """Writes a snapshot's object, which the registry itself has, to `dest`.

        For those of its own location, whose files need not be on this machine. On an error `dest`
        may be left half-written.

        Raises:
            ApiConflictError: the object is not the one that was registered any more.
            CachePermissionError: `dest` cannot be made.
            CacheFullError: the disk that `dest` is on is full.
        """
        ...

"""A registry that is asked over HTTP."""

from __future__ import annotations

import hashlib
import time
from binascii import b2a_base64
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from datacachalog.adapters.api.reading import record, text_of
from datacachalog.adapters.api.transport import Ask, segment
from datacachalog.adapters.disk import cache_errors
from datacachalog.domain.errors import (
    ApiConflictError,
    ForbiddenError,
    InvalidUriError,
    JobFailedError,
    LocalFileError,
    NotFoundError,
    ServerError,
    TransientError,
    ValidationError,
)
from datacachalog.domain.objects import NOT_MODIFIED
from datacachalog.domain.registry import Snapshot
from datacachalog.domain.uri import Uri
from datacachalog.ports import SILENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path
    from typing import BinaryIO

    from datacachalog.adapters.api.transport import Answer, Transport
    from datacachalog.domain.objects import NotModified
    from datacachalog.domain.registry import Registration
    from datacachalog.ports import TransferProgress

_LONG_POLL_S: Final = 20
_DEADLINE_S: Final = 300.0
_PAUSE_S: Final = 0.1
_LIST_LIMIT: Final = 1000
_OWN_BUCKET: Final = "objects"


class HttpApi:
    """A `DatlakeApiPort` whose questions each are a request. Threads and forks may share it."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def identity(self) -> str:
        return self.transport.base_url

    def latest(self, table_name: str) -> Snapshot:
        return self.latest_at(table_name)[0]

    def latest_at(
        self, table_name: str, *, as_of: str | None = None, tag: str | None = None
    ) -> tuple[Snapshot, str | None]:
        """The snapshot that is current, or was at a time, or has a tag; and its ETag."""
        answer = self._latest(table_name, {"as_of": as_of, "tag": tag}, {})
        return record(Snapshot, answer.data), answer.headers.get("etag")

    def latest_as_of(self, table_name: str, as_of: datetime) -> Snapshot:
        return self.latest_at(table_name, as_of=as_of.isoformat())[0]

    def latest_if_changed(
        self, table_name: str, etag: str
    ) -> tuple[Snapshot, str | None] | NotModified:
        """The current snapshot and its ETag, or `NOT_MODIFIED` where that is `etag` still."""
        answer = self._latest(table_name, {}, {"If-None-Match": etag})
        if answer.status == 304:
            return NOT_MODIFIED
        return record(Snapshot, answer.data), answer.headers.get("etag")

    def _latest(
        self, table_name: str, query: Mapping[str, object], headers: Mapping[str, str]
    ) -> Answer:
        path = f"/tables/{segment(table_name)}/snapshots/latest"
        return self.transport.ask(Ask("GET", path, query, headers=headers))

    def snapshot(self, table_name: str, snapshot_id: str) -> Snapshot:
        path = f"/tables/{segment(table_name)}/snapshots/{segment(snapshot_id)}"
        found = record(Snapshot, self.transport.ask(Ask("GET", path)).data)
        if snapshot_id.startswith("snap-") and found.snapshot_id != snapshot_id:
            raise ServerError(f"the registry tells of another snapshot than {snapshot_id!r}", 200)
        return found

    def snapshots(self, table_name: str) -> Iterator[Snapshot]:
        path = f"/tables/{segment(table_name)}/snapshots"
        for line in self.transport.pages(Ask("GET", path, {"limit": _LIST_LIMIT})):
            told = {"table_name": table_name, **line} if isinstance(line, dict) else line
            yield record(Snapshot, told)

    def register(self, asked: Registration) -> Snapshot:
        job = self.ended(self.accepted(asked), _DEADLINE_S)
        made = text_of(job.get("result"), "snapshot_id")
        try:
            return self.snapshot(asked.table_name, made)
        except ForbiddenError as error:
            told = f"{made} was registered; to be told of it takes SELECT: {error.message}"
            raise ForbiddenError(told, error.status, error.code, error.request_id) from error

    def accepted(self, asked: Registration, key: str | None = None) -> str:
        """The id of the job that a registration is done by; `key` is its `Idempotency-Key`."""
        told = {
            "table_name": asked.table_name,
            "uri": asked.uri,
            "format": asked.format,
            "schema": None if asked.schema is None else dict(asked.schema),
            "expected_parent": asked.expected_parent,
            "job_name": asked.job_name,
            "run_id": asked.run_id,
        }
        told = {name: value for name, value in told.items() if value is not None}
        answer = self.transport.ask(Ask("POST", "/jobs/register-snapshot", json=told, key=key))
        return text_of(answer.data, "job_id")

    def job(self, job_id: str, wait_s: float = 0) -> dict[str, Any]:
        """A job as it stands, or when it has ended within `wait_s`."""
        # Not as long as nothing may come: it would be taken for an answer that was lost.
        most_s = self.transport.settings.default_timeout_ms / 2000
        wait = int(min(wait_s, _LONG_POLL_S, most_s)) or None
        path = f"/jobs/{segment(job_id)}"
        found: dict[str, Any] = self.transport.ask(Ask("GET", path, {"wait": wait})).data
        text_of(found, "status")
        return found

    def ended(self, job_id: str, timeout_s: float) -> dict[str, Any]:
        """A job that has made its snapshot.

        Raises:
            ApiConflictError: another snapshot was current than it was to follow.
            JobFailedError: it ended otherwise.
            TransientError: it has not ended in time; it goes on.
        """
        until = time.monotonic() + timeout_s
        while True:
            begun = time.monotonic()
            job = self.job(job_id, max(1.0, until - begun))
            if job["status"] == "completed":
                return job
            if job["status"] not in {"queued", "running"}:
                raise _failure(job_id, job)
            if time.monotonic() > until:
                raise TransientError(f"{job_id} is {job['status']} still after {timeout_s:g} s")
            # Where the registry may not be waited for, or does not wait.
            time.sleep(max(0.0, _PAUSE_S - (time.monotonic() - begun)))

    def upload(
        self, path: Path, bucket: str, name: str, progress: TransferProgress = SILENT
    ) -> str:
        stored = self.stored(path, bucket, name, progress, is_new=True)
        return text_of(stored, "uri")

    def stored(
        self,
        path: Path,
        bucket: str,
        name: str,
        progress: TransferProgress = SILENT,
        *,
        is_new: bool,
    ) -> dict[str, Any]:
        """What the registry says of a file that was uploaded; with `is_new`, over no other one."""
        size_bytes, digest = _digest(path)
        headers = {
            "Content-Digest": f"sha-256=:{b2a_base64(digest, newline=False).decode()}:",
            "Content-Length": str(size_bytes),
            "Content-Type": "application/octet-stream",
        }
        if is_new:
            headers["If-None-Match"] = "*"

        def opened() -> BinaryIO:
            progress.total(size_bytes)
            with _readable(path):
                return _Followed(path, size_bytes, progress)  # type: ignore[return-value]

        target = _object_path(bucket, name)
        found: dict[str, Any] = self.transport.ask(
            Ask("PUT", target, body=opened, headers=headers)
        ).data
        return found

    def download_snapshot(
        self, snapshot: Snapshot, dest: Path, progress: TransferProgress = SILENT
    ) -> None:
        names = self._own_names(snapshot)
        with cache_errors(dest):
            for name in names[:-1]:
                with suppress(NotFoundError):
                    self.download(_OWN_BUCKET, name, dest, progress, etag=snapshot.etag)
                    return
            self.download(_OWN_BUCKET, names[-1], dest, progress, etag=snapshot.etag)

    def _own_names(self, snapshot: Snapshot) -> list[str]:
        """What the registry may call the object of a snapshot in its own location.

        Its locations are told to whoever may use them, but not which one of the folders is its own:
        mostly it is the one with the others in it.
        """
        own, names = Uri.parse(snapshot.uri), list[str]()
        for location in self.transport.pages(Ask("GET", "/locations")):
            with suppress(InvalidUriError):  # of a newer registry, perhaps
                root = Uri.parse(text_of(location, "uri"))
                folder = f"{root.path.rstrip('/')}/"
                if root.scheme == own.scheme == "file" and own.path.startswith(folder):
                    names.append(own.path.removeprefix(folder))
        if not names:
            told = f"{snapshot.uri!r} is in no storage location that the caller may use"
            raise ForbiddenError(told, 403)
        return sorted(names, key=len, reverse=True)

    def download(
        self,
        bucket: str,
        name: str,
        dest: Path,
        progress: TransferProgress = SILENT,
        *,
        etag: str | None = None,
    ) -> None:
        """Writes an object that the registry has to `dest`, which may be left half-written.

        Only the one that has `etag`, if one is given.

        Raises:
            ServerError: what came is no object of a registry, such as somebody's page to log in.
        """
        headers = {} if etag is None else {"If-Match": etag}
        asked = Ask("GET", _object_path(bucket, name), headers=headers)
        with self.transport.stream(asked) as answer:
            _require_object(answer.headers, name)
            size = answer.headers.get("content-length", "")
            progress.total(int(size) if size.isdecimal() else 0)
            with dest.open("wb") as file:
                for block in answer.blocks:
                    file.write(block)
                    progress.advance(len(block))


class _Followed:
    """A file as long as it was when it was looked at, whose reading is told to a display."""

    def __init__(self, path: Path, size_bytes: int, progress: TransferProgress) -> None:
        self._path, self._left, self._progress = path, size_bytes, progress
        self._file = path.open("rb")
        self.close: Callable[[], None] = self._file.close

    def read(self, size_bytes: int = -1) -> bytes:
        """The next bytes.

        Never more than were told of: they would be taken for the next request.

        Raises:
            LocalFileError: it is shorter by now, or cannot be read.
        """
        most = self._left if size_bytes < 0 else min(size_bytes, self._left)
        with _readable(self._path):
            block = self._file.read(most)
        if most and not block:
            raise LocalFileError(str(self._path), "it was made shorter meanwhile")
        self._left -= len(block)
        self._progress.advance(len(block))
        return block


def _failure(job_id: str, job: Mapping[str, Any]) -> ApiConflictError | JobFailedError:
    told = f"{job_id}: {job.get('error') or 'was ' + job['status']}"
    code = str(job.get("error_code") or JobFailedError.code)
    if code == "parent_conflict":
        return ApiConflictError(told, 409, code)
    return JobFailedError(told, 0, code)


def _object_path(bucket: str, name: str) -> str:
    parts = name.split("/")
    if not {"", ".", ".."}.isdisjoint(parts):
        told = f"{name!r} is no name of one object: a part of it is empty, '.' or '..'"
        raise ValidationError(told)
    return f"/datasets/{segment(bucket)}/" + "/".join(map(segment, parts))


def _require_object(headers: Mapping[str, str], name: str) -> None:
    """Refuses what has no tag, which all objects have, or whose end could not be told from a cut.

    Raises:
        ServerError: it has none.
    """
    has_end = headers.get("content-length", "").isdecimal() or "transfer-encoding" in headers
    if "etag" not in headers or not has_end:
        told = f"{name!r} was not answered as a registry does, but without its tag or its length"
        raise ServerError(told, 200, None, headers.get("x-request-id"))


def _digest(path: Path) -> tuple[int, bytes]:
    with _readable(path), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
        return file.tell(), digest


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise LocalFileError(str(path), str(getattr(error, "strerror", None) or error)) from None

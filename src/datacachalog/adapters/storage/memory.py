"""Objects in this process's memory: the reference for what a store does, and a store for tests.

It can be made to fail, and counts what it is asked; it does nothing else that a real one does not.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from blake3 import blake3

from datacachalog.adapters.disk import cache_errors
from datacachalog.adapters.journal import discard
from datacachalog.domain.errors import (
    ConflictError,
    InvalidUriError,
    NotAnObjectError,
    ObjectNotFoundError,
    VersionNotFoundError,
)
from datacachalog.domain.objects import ABSENT, ANY, NOT_MODIFIED, ObjectInfo, Revision
from datacachalog.ports import SILENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from datacachalog.domain.objects import Expected, NotModified
    from datacachalog.domain.uri import Uri
    from datacachalog.ports import Clock, TransferProgress


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _go_on(operation: str, uri: Uri) -> None:
    """Lets every request through."""


@dataclass(frozen=True, slots=True)
class _Stored:
    info: ObjectInfo
    data: bytes = b""


@dataclass(slots=True)
class _Fault:
    times: int
    error: Exception
    operation: str | None
    after_bytes: int | None


class MemoryStorage:
    """A store in RAM, of any scheme but `file`; a bucket is there once something was put in it.

    With `versioned`, every upload and every deletion is kept, as in an S3 bucket with versioning.
    `requests` holds the name of every operation that was asked for, in order. `before` is called
    with the operation and its URI at each, and may wait, raise, or change the store.

    >>> from datacachalog.domain.uri import Uri
    >>> storage = MemoryStorage()
    >>> storage.put(Uri.parse("mem://lake/a.csv"), b"id,name").size_bytes
    7
    """

    def __init__(self, *, versioned: bool = False, clock: Clock = _utc_now) -> None:
        self.requests: list[str] = []
        self.before: Callable[[str, Uri], None] = _go_on
        self._versioned = versioned
        self._clock = clock
        self._lock = threading.RLock()
        self._buckets: dict[tuple[str, str], dict[str, list[_Stored]]] = {}
        self._faults: list[_Fault] = []
        self._last_version = 0

    def fail(
        self,
        times: int,
        error: Exception,
        *,
        operation: str | None = None,
        after_bytes: int | None = None,
    ) -> None:
        """Raises `error` at the next `times` requests, or at the next ones for `operation`.

        With `after_bytes`, downloads only, and after that many bytes have been written.
        """
        if after_bytes is not None:
            operation = "download"
        self._faults.append(_Fault(times, error, operation, after_bytes))

    def put(self, uri: Uri, data: bytes) -> ObjectInfo:
        """Stores `data` as somebody else would: no request is counted, and none fails."""
        with self._lock:
            self._last_version += 1
            info = ObjectInfo(
                uri,
                len(data),
                etag=f'"{blake3(data).hexdigest(16)}"',
                version=f"v{self._last_version}" if self._versioned else None,
                last_modified=self._clock(),
                digest=blake3(data).hexdigest(),
            )
            self._store(_Stored(info, data))
            return info

    def delete(self, uri: Uri) -> None:
        """Deletes the object as somebody else would; a versioned store keeps a marker."""
        with self._lock:
            if not self._versioned:
                del self._buckets[uri.scheme, uri.authority][uri.path]
                return
            self._last_version += 1
            version = f"v{self._last_version}"
            marker = ObjectInfo(uri, 0, version=version, last_modified=self._clock(), deleted=True)
            self._store(_Stored(marker))

    def identity(self, uri: Uri) -> str:
        return str(uri)

    def stat(self, uri: Uri, *, version: str | None = None) -> ObjectInfo:
        self._request("stat", uri)
        return self._stored(uri, version).info

    def download(
        self,
        uri: Uri,
        dest: Path,
        *,
        version: str | None = None,
        unless: Revision | None = None,
        resume: bool = False,
        progress: TransferProgress = SILENT,
    ) -> ObjectInfo | NotModified:
        fault = self._request("download", uri)
        stored = self._stored(uri, version)
        if unless is not None and stored.info.revision.same_bytes(unless):
            return NOT_MODIFIED
        if resume:
            discard(dest)
        progress.total(stored.info.size_bytes)
        data = stored.data if fault is None else stored.data[: fault.after_bytes]
        with cache_errors(dest):
            dest.parent.mkdir(parents=True, exist_ok=True)
            dest.write_bytes(data)
        progress.advance(len(data))
        if fault is not None:
            raise fault.error
        return stored.info

    def upload(
        self,
        path: Path,
        uri: Uri,
        *,
        expect: Expected = ANY,
        progress: TransferProgress = SILENT,
    ) -> ObjectInfo:
        self._request("upload", uri)
        with cache_errors(path):
            data = path.read_bytes()
        progress.total(len(data))
        with self._lock:
            self._check(uri, expect)
            info = self.put(uri, data)
        progress.advance(len(data))
        return info

    def walk(self, prefix: Uri) -> Iterator[ObjectInfo]:
        self._request("walk", prefix)
        with self._lock:
            found = [
                history[-1].info
                for path, history in sorted(self._bucket(prefix).items())
                if path.startswith(prefix.path) and not history[-1].info.deleted
            ]
        return iter(found)

    def versions(self, uri: Uri) -> Iterator[ObjectInfo]:
        self._request("versions", uri)
        with self._lock:
            history = self._bucket(uri).get(uri.path)
            if history is None:
                raise self._missing(uri)
            return iter([stored.info for stored in reversed(history)])

    def read(self, uri: Uri, start: int, end: int, *, version: str | None = None) -> bytes:
        self._request("read", uri)
        return self._stored(uri, version).data[start:end]

    def _request(self, operation: str, uri: Uri) -> _Fault | None:
        """Counts a request, and raises its fault, or returns one that is to be raised later."""
        self.requests.append(operation)
        self.before(operation, uri)
        if uri.scheme == "file":
            raise InvalidUriError(str(uri), "is a local file; this store is in memory")
        with self._lock:
            fault = self._next_fault(operation)
        if fault is not None and fault.after_bytes is None:
            raise fault.error
        return fault

    def _next_fault(self, operation: str) -> _Fault | None:
        for fault in self._faults:
            if fault.times > 0 and fault.operation in {None, operation}:
                fault.times -= 1
                return fault
        return None

    def _store(self, stored: _Stored) -> None:
        info = stored.info
        bucket = self._buckets.setdefault((info.uri.scheme, info.uri.authority), {})
        kept = bucket.get(info.uri.path, []) if self._versioned else []
        bucket[info.uri.path] = [*kept, stored]

    def _check(self, uri: Uri, expect: Expected) -> None:
        history = self._buckets.get((uri.scheme, uri.authority), {}).get(uri.path, [])
        found = history[-1].info if history and not history[-1].info.deleted else None
        if expect is ABSENT and found is not None:
            raise ConflictError(str(uri), "absent", "there")
        if isinstance(expect, Revision):
            expected = f"revision {expect.etag or expect.version}"
            if found is None:
                raise ConflictError(str(uri), expected, "absent")
            if not found.revision.same_bytes(expect):
                raise ConflictError(str(uri), expected)

    def _bucket(self, uri: Uri) -> dict[str, list[_Stored]]:
        bucket = self._buckets.get((uri.scheme, uri.authority))
        if bucket is None:
            raise ObjectNotFoundError(str(uri), f"there is no bucket {uri.authority!r}")
        return bucket

    def _stored(self, uri: Uri, version: str | None) -> _Stored:
        """The current object, or one version of it; never a delete marker."""
        with self._lock:
            history = self._bucket(uri).get(uri.path, [])
            wanted = [s for s in history if version is None or s.info.version == version][-1:]
            if wanted and not wanted[0].info.deleted:
                return wanted[0]
            if version is not None:
                raise VersionNotFoundError(str(uri), version)
            raise self._missing(uri)

    def _missing(self, uri: Uri) -> ObjectNotFoundError | NotAnObjectError:
        folder = replace(uri, path=f"{uri.path.rstrip('/')}/")
        for path, history in self._bucket(uri).items():
            if path.startswith(folder.path) and not history[-1].info.deleted:
                return NotAnObjectError(str(uri))
        return ObjectNotFoundError(str(uri))

"""A registry in this process's memory: the reference for what one does, and one for tests.

It can be made to fail, and counts what it is asked. It does not look into objects: a snapshot has
the schema that its registration has, and no number of rows.
"""

from __future__ import annotations

import re
import threading
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from datacachalog.adapters.disk import cache_errors
from datacachalog.adapters.storage.memory import MemoryStorage
from datacachalog.domain.errors import (
    ApiConflictError,
    AuthError,
    ForbiddenError,
    InvalidUriError,
    JobFailedError,
    LocalFileError,
    NotAnObjectError,
    NotFoundError,
    ObjectNotFoundError,
    StorageError,
    ValidationError,
)
from datacachalog.domain.objects import NOT_MODIFIED
from datacachalog.domain.registry import Snapshot
from datacachalog.domain.uri import Uri
from datacachalog.ports import SILENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from datacachalog.domain.objects import NotModified, ObjectInfo
    from datacachalog.domain.registry import Registration
    from datacachalog.ports import Clock, TransferProgress

BUCKET = "objects"
"""The one that `upload` knows, as the location of a registry's own is called."""

_NAME = "[A-Za-z0-9][A-Za-z0-9_-]{0,99}"
_TABLE = re.compile(rf"({_NAME}\.)?{_NAME}")
_FORMAT = re.compile(r"[a-z0-9][a-z0-9_.+-]{0,31}")


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _go_on(operation: str) -> None:
    """Lets every request through."""


@dataclass(slots=True)
class _Table:
    history: list[Snapshot] = field(default_factory=list)
    current: int = 0
    """The `seq` of the current snapshot."""
    moves: list[tuple[datetime, int]] = field(default_factory=list)
    """Since when which `seq` was the current one, in order."""


@dataclass(slots=True)
class _Fault:
    times: int
    error: Exception
    operation: str | None


class _Contents:
    """What all callers of a registry share."""

    def __init__(self, storage: MemoryStorage, clock: Clock) -> None:
        self.storage, self.clock = storage, clock
        self.lock = threading.RLock()
        self.tables: dict[str, _Table] = {}
        self.writers: dict[str, tuple[str | None, str | None]] = {}
        self.requests: list[str] = []
        self.before: Callable[[str], None] = _go_on
        self.faults: list[_Fault] = []

    def holds(self, uri: Uri) -> bool:
        try:
            self.storage.stat(uri)
        except ObjectNotFoundError:
            return False
        return True


class MemoryApi:
    """A registry in RAM, whose objects are in `storage`; its first caller may do everything.

    >>> from datacachalog.domain.registry import Registration
    >>> from datacachalog.domain.uri import Uri
    >>> api = MemoryApi()
    >>> _ = api.storage.put(Uri.parse("mem://objects/a.csv"), b"id,name")
    >>> api.register(Registration("people", "mem://objects/a.csv", "csv")).seq
    1
    >>> str(api.latest("people"))
    'mem://objects/a.csv'
    """

    def __init__(
        self,
        storage: MemoryStorage | None = None,
        *,
        name: str = "memory",
        clock: Clock = _utc_now,
    ) -> None:
        self._name = name
        self._contents = _Contents(storage or MemoryStorage(), clock)
        self._is_known = True
        self._readable: frozenset[str] | None = None  # None is every table

    @property
    def storage(self) -> MemoryStorage:
        """Where the objects are: put some there, or have them fail."""
        return self._contents.storage

    @property
    def requests(self) -> list[str]:
        """Every operation that was asked for, by any caller, in order; clear it as you like."""
        return self._contents.requests

    @property
    def writers(self) -> dict[str, tuple[str | None, str | None]]:
        """By snapshot id, the job's name and the run's id that registered it last."""
        return self._contents.writers

    @property
    def before(self) -> Callable[[str], None]:
        """Called with the operation at each, and may wait, raise, or change the registry."""
        return self._contents.before

    @before.setter
    def before(self, called: Callable[[str], None]) -> None:
        self._contents.before = called

    def fail(self, times: int, error: Exception, *, operation: str | None = None) -> None:
        """Raises `error` at the next `times` requests, or at the next ones for `operation`."""
        self._contents.faults.append(_Fault(times, error, operation))

    def as_reader(self, *tables: str) -> MemoryApi:
        """The same registry, asked by somebody who may read these tables, and nothing else."""
        return self._asked_by(frozenset(map(_plain, tables)))

    def as_stranger(self) -> MemoryApi:
        """The same registry, asked with a key that it does not know."""
        return self._asked_by(frozenset(), is_known=False)

    def _asked_by(self, readable: frozenset[str], *, is_known: bool = True) -> MemoryApi:
        made = MemoryApi(name=self._name)
        made._contents = self._contents
        made._readable, made._is_known = readable, is_known
        return made

    def identity(self) -> str:
        return f"memory://{self._name}"

    def latest(self, table_name: str) -> Snapshot:
        return self.latest_at(table_name)[0]

    def latest_at(self, table_name: str) -> tuple[Snapshot, str | None]:
        """The current snapshot of a table, and an ETag that every change of that changes."""
        with self._asked("latest"):
            table = self._table(table_name)
            return table.history[table.current - 1], f'"{len(table.moves)}"'

    def latest_as_of(self, table_name: str, as_of: datetime) -> Snapshot:
        with self._asked("latest_as_of"):
            table = self._table(table_name)
            for since, seq in reversed(table.moves):
                if since <= as_of:
                    return table.history[seq - 1]
        raise NotFoundError(f"{table_name!r} had no snapshot at {as_of.isoformat()}", 404)

    def latest_if_changed(
        self, table_name: str, etag: str
    ) -> tuple[Snapshot, str | None] | NotModified:
        """The same, or `NOT_MODIFIED` where its ETag is `etag` still."""
        found = self.latest_at(table_name)
        return NOT_MODIFIED if found[1] == etag else found

    def snapshot(self, table_name: str, snapshot_id: str) -> Snapshot:
        with self._asked("snapshot"):
            for one in self._table(table_name).history:
                if one.snapshot_id == snapshot_id:
                    return one
        raise NotFoundError(f"{table_name!r} has no snapshot {snapshot_id!r}", 404)

    def snapshots(self, table_name: str) -> Iterator[Snapshot]:
        with self._asked("snapshots"):
            found = [replace(one, schema=None) for one in self._table(table_name).history]
        yield from reversed(found)

    def register(self, asked: Registration) -> Snapshot:
        with self._asked("register"):
            _check_words(asked)
            self._require_writer()
            info = self._stat(asked.uri)
            table = self._contents.tables.get(_plain(asked.table_name)) or _Table()
            _require_parent(table, asked.expected_parent)
            made = _same(table, asked, info) or self._next(table, asked, info)
            if made.seq > len(table.history):
                table.history.append(made)
            if table.current != made.seq:
                table.current = made.seq
                table.moves.append((self._contents.clock(), made.seq))
            self._contents.tables[made.table_name] = table
            if asked.run_id is not None:
                self.writers[made.snapshot_id] = (asked.job_name, asked.run_id)
            return made

    def upload(
        self, path: Path, bucket: str, name: str, progress: TransferProgress = SILENT
    ) -> str:
        data = _read(path)
        with self._asked("upload"):
            if not {"", ".", ".."}.isdisjoint(name.split("/")):
                raise ValidationError(f"{name!r} is no name of one object", 422)
            self._require_writer()
            if bucket != BUCKET:
                raise NotFoundError(f"no storage location is called {bucket!r}", 404)
            uri = Uri("mem", bucket, name)
            progress.total(len(data))
            if self._contents.holds(uri):
                raise ApiConflictError(f"there is an object {uri} already", 409)
            self.storage.put(uri, data)
        progress.advance(len(data))
        return str(uri)

    def download_snapshot(
        self, snapshot: Snapshot, dest: Path, progress: TransferProgress = SILENT
    ) -> None:
        with self._asked("download"):
            uri = Uri.parse(snapshot.uri)
            try:
                found = self.storage.stat(uri)
            except StorageError as error:
                raise NotFoundError(str(error), 404) from error
            if found.etag != snapshot.etag:
                raise ApiConflictError(f"{uri} is another object now", 412)
            data = self.storage.read(uri, 0, found.size_bytes)
        progress.total(len(data))
        with cache_errors(dest):
            dest.write_bytes(data)
        progress.advance(len(data))

    def _asked(self, operation: str) -> threading.RLock:
        """Counts a request, and lets it in: what it holds while it is answered.

        Raises:
            AuthError: nobody knows the caller.
        """
        contents = self._contents
        contents.requests.append(operation)
        contents.before(operation)
        with contents.lock:
            for fault in contents.faults:
                if fault.times > 0 and fault.operation in {None, operation}:
                    fault.times -= 1
                    raise fault.error
        if not self._is_known:
            raise AuthError("the key is not valid", 401)
        return contents.lock

    def _table(self, name: str) -> _Table:
        _check_table(name)
        if self._readable is not None and _plain(name) not in self._readable:
            raise ForbiddenError(f"table {name!r} is not yours to SELECT", 403)
        found = self._contents.tables.get(_plain(name))
        if found is None:
            # Who may see less than all learns of no table whether it is there.
            kind = NotFoundError if self._readable is None else ForbiddenError
            raise kind(f"there is no table {name!r}", 404 if kind is NotFoundError else 403)
        return found

    def _require_writer(self) -> None:
        if self._readable is not None:
            raise ForbiddenError("the caller may only read", 403)

    def _stat(self, uri: str) -> ObjectInfo:
        try:
            return self.storage.stat(Uri.parse(uri))
        except (ObjectNotFoundError, NotAnObjectError, InvalidUriError) as error:
            raise JobFailedError(str(error), 0, "uri_not_found") from error
        except StorageError as error:
            raise JobFailedError(str(error), 0, "storage_unavailable") from error

    def _next(self, table: _Table, asked: Registration, info: ObjectInfo) -> Snapshot:
        parent = table.history[table.current - 1].snapshot_id if table.history else None
        return Snapshot(
            table_name=_plain(asked.table_name),
            snapshot_id=f"snap-{uuid.uuid4().hex}",
            uri=info.uri.as_uri(),
            format=asked.format,
            created_at=self._contents.clock(),
            size_bytes=info.size_bytes,
            seq=len(table.history) + 1,
            parent_id=parent,
            etag=info.etag,
            version=info.version,
            schema=asked.schema,
        )


def _plain(name: str) -> str:
    """A table's name without the namespace that need not be said."""
    return name.removeprefix("default.")


def _check_table(name: str) -> None:
    if not _TABLE.fullmatch(name):
        raise ValidationError(f"{name!r} is no name of a table", 422)


def _check_words(asked: Registration) -> None:
    _check_table(asked.table_name)
    if not _FORMAT.fullmatch(asked.format):
        raise ValidationError(f"{asked.format!r} is no name of a format", 422)
    if asked.job_name is not None and asked.run_id is None:
        raise ValidationError("a job_name comes with its run_id", 422)


def _require_parent(table: _Table, expected: str | None) -> None:
    current = table.history[table.current - 1].snapshot_id if table.history else "none"
    if expected not in {None, current}:
        told = f"the current snapshot is {current}, not {expected}"
        raise ApiConflictError(told, 409, "parent_conflict")


def _same(table: _Table, asked: Registration, info: ObjectInfo) -> Snapshot | None:
    """The snapshot that the table has of the same object already."""
    wanted = (info.uri.as_uri(), info.etag, info.version, info.size_bytes)
    for one in table.history:
        is_it = (one.uri, one.etag, one.version, one.size_bytes) == wanted
        if is_it and (one.format, one.schema) == (asked.format, asked.schema):
            return one
    return None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise LocalFileError(str(path), error.strerror or str(error)) from error

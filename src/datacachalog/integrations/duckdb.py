"""DuckDB over snapshots: their objects as its files, and their tables by name.

No extension of DuckDB is loaded or downloaded: what its `httpfs` does is done by the store that
everything here reads S3 with, which knows the same profiles, endpoints and credentials.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import json
import os
import re
import threading
import weakref
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import duckdb
import fsspec

from datacachalog.domain.errors import (
    ObjectNotFoundError,
    QueryError,
    UnreadableFormatError,
    UnsupportedOperationError,
)
from datacachalog.domain.uri import Uri
from datacachalog.integrations.snapshot_files import RemoteObject, opened
from datacachalog.integrations.sql_tables import (
    forget_schemas,
    path_of,
    replace_table,
    tables_in,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from datacachalog.domain.registry import Snapshot
    from datacachalog.integrations.object_file import ObjectFile
    from datacachalog.integrations.snapshot_files import Place, SnapshotFiles
    from datacachalog.integrations.sql_tables import Node

Resolve: TypeAlias = "Callable[[str, str | None], Snapshot]"
"""Gives the snapshot of a table: the one of an id, else the current one."""

_READERS = {
    "parquet": "read_parquet({}, hive_partitioning = false)",
    "csv": "read_csv({}, hive_partitioning = false)",
    "jsonl": "read_json({}, format = 'newline_delimited', hive_partitioning = false)",
    "json": "read_json({}, hive_partitioning = false)",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")  # as registries have it
_DEFAULT_NAMESPACE = "default"
# What is not there is not asked for anywhere: extensions come from the Internet.
_OFF = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
_GLOB = re.compile(r"[*?\[\]{}]")
_numbers = itertools.count(1)
_PATIENCE_S = 5.0


class _Ender:
    """Ends the threads of DuckDB while Python is still there.

    Seen with 2.0.0: they let go of a file after the query that read it. If Python ends just then,
    its files cannot be let go of, and the process is aborted. Queries that go on in daemon threads
    are interrupted; what cannot be, keeps Python for a few seconds only.
    """

    def __init__(self) -> None:
        self.connections: weakref.WeakSet[duckdb.DuckDBPyConnection] = weakref.WeakSet()
        self._is_over = threading.Event()
        # Begun now: while Python ends, no thread can be (3.12).
        self._thread = threading.Thread(target=self._wait, name="end of duckdb", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Interrupts what is going on, and waits for the threads for a while."""
        for one in list(self.connections):
            with contextlib.suppress(duckdb.Error):  # it is closed
                one.interrupt()
        self._is_over.set()
        self._thread.join(_PATIENCE_S)

    def _wait(self) -> None:
        self._is_over.wait()
        for one in list(self.connections):
            # It is closed, and so they have ended, or its settings are locked.
            with contextlib.suppress(duckdb.Error), one.cursor() as cursor:
                cursor.execute("SET threads = 1")
                cursor.execute("SET async_threads = 0")


# By process: a fork has none of the threads.
_enders: dict[int, _Ender] = {}
_beginning: dict[int, threading.Lock] = {}


def _ender() -> _Ender:
    process = os.getpid()
    with _beginning.setdefault(process, threading.Lock()):
        if process not in _enders:
            _enders[process] = _Ender()
            atexit.register(_end, process)
        return _enders[process]


def _end(process: int) -> None:
    if process == os.getpid():
        _enders[process].end()


class _Files(fsspec.AbstractFileSystem):  # type: ignore[misc] # fsspec has no types
    """Files that are only read, as DuckDB asks for them; each path is one file."""

    cachable = False

    def __init__(self, protocol: str, place: Callable[[str], Place]) -> None:
        super().__init__()
        self.protocol, self._place = protocol, place

    def open(self, path: str, mode: str = "rb", **_: Any) -> ObjectFile:
        if mode != "rb":
            raise UnsupportedOperationError(path, "this connection only reads")
        return opened(self._place(path))

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        place = self._place(path)
        size = place.info.size_bytes if isinstance(place, RemoteObject) else place.stat().st_size
        return {"name": path, "size": size, "type": "file"}

    def modified(self, path: str) -> datetime:
        place = self._place(path)
        when = place.info.last_modified if isinstance(place, RemoteObject) else None
        return when or datetime.fromtimestamp(0, UTC)

    def glob(self, path: str, **_: Any) -> list[str]:
        return [path]

    def isfile(self, path: str) -> bool:
        try:
            self._place(path)
        except ObjectNotFoundError:
            return False
        return True

    def isdir(self, path: str) -> bool:  # noqa: ARG002 - fsspec's
        return False


class _Snapshots(_Files):
    """The objects of the snapshots that were queried, as they were registered."""

    def __init__(self, files: SnapshotFiles) -> None:
        self._of = files  # which keeps what was downloaded
        self._places: dict[str, Place] = {}
        # Of each client one: a connection may know the snapshots of several.
        super().__init__(f"datlake{next(_numbers)}", self._places.__getitem__)

    def add(self, snapshot: Snapshot) -> str:
        """What DuckDB is to call a snapshot's object."""
        place = self._of.find(snapshot)
        if isinstance(place, Path) and not _GLOB.search(str(place)):
            return str(place)  # DuckDB reads files with as many threads as it likes
        path = f"{self.protocol}://{snapshot.snapshot_id}/{Uri.parse(snapshot.uri).name}"
        self._places[path] = place
        return path


class SnapshotDatabase:
    """DuckDB for one client. Threads may share it: each query has a connection of its own."""

    def __init__(self, files: SnapshotFiles) -> None:
        # All objects of S3, as they are now.
        self._objects = _Files("s3", lambda path: files.stat(Uri.parse(path)))
        self._snapshots = _Snapshots(files)
        self._locks: dict[int, threading.Lock] = {}
        self._own: dict[int, duckdb.DuckDBPyConnection] = {}

    def connect(self, database: str = ":memory:") -> duckdb.DuckDBPyConnection:
        """A new connection that reads `s3://` too; the caller closes it."""
        made = duckdb.connect(database, config=dict(_OFF))
        made.register_filesystem(self._objects)
        self._register(made)
        return made

    def _register(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.register_filesystem(self._snapshots)
        _ender().connections.add(connection)

    def sql(
        self,
        query: str,
        resolve: Resolve,
        *,
        params: object = None,
        connection: duckdb.DuckDBPyConnection | None = None,
    ) -> duckdb.DuckDBPyRelation:
        """What a SELECT gives, its tables being those of the registry.

        Raises:
            QueryError: it is not one SELECT, or DuckDB refuses it.
        """
        asked = connection or self._new_cursor()
        try:
            if not asked.filesystem_is_registered(self._snapshots.protocol):
                self._register(asked)
            return asked.sql(self._resolved(query, asked, resolve), params=params)
        except duckdb.Error as error:
            raise QueryError(_told(error)) from error

    def _new_cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own to the database of this process: a fork has none of its threads.

        The one of the process that it was forked from stays: to end it waits for those threads.
        """
        process = os.getpid()
        # The lock too: another thread may have held it at the moment of the fork.
        with self._locks.setdefault(process, threading.Lock()):
            if process not in self._own:
                self._own[process] = self.connect()
                # Names are tables of the registry, not variables of whoever calls.
                self._own[process].execute("SET GLOBAL python_enable_replacements = false")
            cursor = self._own[process].cursor()
            _ender().connections.add(cursor)
            return cursor

    def _resolved(self, query: str, connection: duckdb.DuckDBPyConnection, resolve: Resolve) -> str:
        """The query with files in the place of the registry's tables."""
        parsed = self._parsed(query)
        local = _local_tables(connection)
        found = [one for one in tables_in(parsed) if _is_of_a_registry(one, local)]
        snapshots = {key: resolve(*key) for key in {_asked_of(one): None for one in found}}
        readers = {key: self._reader(one) for key, one in snapshots.items()}
        schemas = set()
        for one in found:
            if len(path_of(one)) == 2 and not one.get("alias"):
                schemas.add((path_of(one)[0].lower(), path_of(one)[1].lower()))
            replace_table(one, readers[_asked_of(one)])
        if schemas:
            forget_schemas(parsed, schemas)
        return str(self._asked("SELECT json_deserialize_sql(?)", json.dumps(parsed)))

    def _reader(self, snapshot: Snapshot) -> Node:
        """What reads a snapshot, as a part of a query."""
        if snapshot.format not in _READERS:
            raise UnreadableFormatError(snapshot.table_name, snapshot.format)
        quoted = "'" + self._snapshots.add(snapshot).replace("'", "''") + "'"
        parsed = self._parsed(f"FROM {_READERS[snapshot.format].format(quoted)}")
        reader: Node = parsed["statements"][0]["node"]["from_table"]
        return reader

    def _parsed(self, query: str) -> Any:
        parsed = json.loads(self._asked("SELECT json_serialize_sql(?)", query))
        if parsed["error"]:
            told = str(parsed.get("error_message", "it is no SQL"))
            if parsed.get("error_type") == "not implemented":
                raise QueryError(
                    "only SELECT is answered here", "duckdb() gives a connection for all else"
                )
            raise QueryError(told)
        if len(parsed["statements"]) != 1:
            raise QueryError(f"one SELECT is answered, and these are {len(parsed['statements'])}")
        return parsed

    def _asked(self, question: str, text: str) -> Any:
        try:
            # Not by the caller's connection, which may be at something else.
            with self._new_cursor() as cursor:
                [[found]] = cursor.execute(question, [text]).fetchall()
        except duckdb.Error as error:
            raise QueryError(_told(error)) from error
        return found


def _told(error: duckdb.Error) -> str:
    """What DuckDB says; of an error of ours that came through it, what that says."""
    text = str(error)
    ours = re.search(r"^\w+Error: (.+)$", text, re.MULTILINE)
    return ours[1] if text.startswith("Traceback") and ours else text


def _local_tables(connection: duckdb.DuckDBPyConnection) -> set[tuple[str, ...]]:
    """The tables and views that a connection has, as they may be called, in small letters."""
    rows = connection.sql(
        "SELECT database_name, schema_name, table_name AS name FROM duckdb_tables()"
        " UNION ALL SELECT database_name, schema_name, view_name FROM duckdb_views()"
    ).fetchall()
    found: set[tuple[str, ...]] = set()
    for row in rows:
        database, schema, name = (one.lower() for one in row)
        found |= {(schema, name), (database, schema, name)}
        if schema == "main" or (database, schema) == ("system", "pg_catalog"):
            found |= {(name,), (database, name)}
    return found


def _is_of_a_registry(table: Node, local: set[tuple[str, ...]]) -> bool:
    path = path_of(table)
    is_known = tuple(one.lower() for one in path) in local
    return not is_known and len(path) <= 2 and all(_NAME.fullmatch(one) for one in path)


def _asked_of(table: Node) -> tuple[str, str | None]:
    """The name of a registry's table, and the snapshot of it that is wanted, if it is said which.

    Raises:
        QueryError: it is said by a time.
    """
    path = path_of(table)
    name = ".".join(path[1:] if path[0].lower() == _DEFAULT_NAMESPACE and path[1:] else path)
    at = table.get("at_clause")
    if not at:
        return name, None
    expression = at.get("expr") or {}
    constant = expression.get("literal") or expression.get("value") or {}
    version = constant.get("text", constant.get("value"))
    if at.get("unit") != "VERSION" or version is None:
        raise QueryError(
            f"the snapshot of {name!r} must be told by its id or number",
            f"FROM {name} AT (VERSION => 'snap-…')",
        )
    return name, str(version)

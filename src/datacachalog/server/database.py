"""The registry's database: SQLite in a file, or PostgreSQL."""

from __future__ import annotations

import importlib.resources
import select
import sqlite3
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DisconnectionError, OperationalError

from datacachalog.server.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.pool import ConnectionPoolEntry

_BUSY_MS = 10_000
_PATIENCE_S = 10  # for a connection of the pool
# A server that has gone without a word is noticed after some 20 s, not after the system's hours.
_POSTGRESQL = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 20_000,
    "application_name": "datlake",
}
_LOCK = 0x64_61_74_6C  # any number that no other program takes


@dataclass(frozen=True, slots=True)
class Revisions:
    """The form that a database has, None where it is empty, and those known, the newest first."""

    found: str | None
    known: tuple[str, ...]

    @property
    def is_newest(self) -> bool:
        """Whether it is as this program needs it."""
        return self.found == self.known[0]

    @property
    def is_newer(self) -> bool:
        """Whether only a later program than this one knows it."""
        return self.found is not None and self.found not in self.known


class Database:
    """Transactions on the registry's database. Threads may share one."""

    def __init__(self, url: str) -> None:
        self.url = _checked(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._engine, self._is_over = _engine(self.url), False
        event.listen(self._engine, "checkin", self._end_if_over)
        # PostgreSQL's transactions see a new state with every statement (READ COMMITTED): one that
        # only reads is its statements, less the two more messages that it takes.
        self._reader = (
            self._engine
            if self.is_sqlite
            else self._engine.execution_options(isolation_level="AUTOCOMMIT")
        )

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """What is read together, and changes nothing; on SQLite in one state of the database."""
        with self._reader.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is committed where the block ends well.

        On SQLite it has the one right to write from its beginning: a transaction that reads first
        and then wants to write may fail at once, however long it would wait (SQLITE_BUSY_SNAPSHOT).
        """
        with self._engine.connect() as connection:
            writer = connection.execution_options(is_writer=True)
            with writer.begin():
                yield writer

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """A writing transaction that no other process has at the same time, as at the start."""
        with self.writing() as connection:
            if not self.is_sqlite:  # which has one writer anyway
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            yield connection

    def hold(self, connection: Connection, name: str) -> None:
        """Waits until no other writing transaction holds `name`; this one does, to its end."""
        if not self.is_sqlite:  # as above
            query = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
            connection.execute(query, {"name": name})

    def migrate(self) -> None:
        """Brings the database to the newest form. Of several processes, one does it.

        Raises:
            DatabaseError: it is of a newer version of this program, or cannot be opened.
        """
        self._open()
        with self.alone() as connection:
            config = _migrations()
            revisions = self.revisions(connection)
            if revisions.is_newer:
                raise DatabaseError(str(self), f"is of a newer version ({revisions.found})")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def _open(self) -> None:
        try:
            self._engine.connect().close()
        except OperationalError as error:
            told = str(error.orig).split("\n", 1)[0]
            raise DatabaseError(str(self), f"cannot be opened: {told}") from error

    def revisions(self, connection: Connection) -> Revisions:
        """Which form the database has, and which one it is to have."""
        found = MigrationContext.configure(connection).get_current_revision()
        scripts = ScriptDirectory.from_config(_migrations())
        return Revisions(found, tuple(one.revision for one in scripts.walk_revisions()))

    def close(self) -> None:
        """Gives back all connections; those that are in use, when they are not any more."""
        self._is_over = True
        self._engine.dispose()

    def _end_if_over(self, _: object, entry: ConnectionPoolEntry) -> None:
        if self._is_over:  # it would be left open in a pool that nobody has
            entry.invalidate()

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)


def make_folder(folder: Path) -> None:
    """Makes a folder, unless it is there.

    Raises:
        DatabaseError: it cannot be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseError(str(folder), f"cannot be made: {error.strerror}") from error


def sqlite_url(file: Path) -> str:
    """The URL of a database in a file."""
    return f"sqlite:///{file}"


def _checked(text_of_url: str) -> URL:
    try:
        url = make_url(text_of_url)
    except ArgumentError:
        raise DatabaseError(
            "the database URL", "is none: try postgresql://user@host/name"
        ) from None
    match url.get_backend_name():
        case "sqlite":
            if url.database in {None, "", ":memory:"}:
                raise DatabaseError(text_of_url, "must name a file")
            return url.set(drivername="sqlite+pysqlite")
        case "postgresql":
            return url.set(drivername="postgresql+psycopg")
    raise DatabaseError(url.drivername, "is none of sqlite and postgresql")


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        postgresql = create_engine(
            url,
            hide_parameters=True,
            pool_size=30,
            max_overflow=0,
            pool_timeout=_PATIENCE_S,
            connect_args=_POSTGRESQL,
        )
        event.listen(postgresql, "checkout", _refuse_if_cut)
        return postgresql
    assert url.database is not None  # noqa: S101 - seen by _checked
    make_folder(Path(url.database).parent)
    engine = create_engine(url, pool_size=30, max_overflow=0, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _refuse_if_cut(connection: Any, *_: object) -> None:
    """Has what a restart has cut not be used again.

    A server that ends a connection says so on it, and one that waits for a statement says nothing.
    So looking is enough, without the question and answer of `pool_pre_ping`.
    """
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    if waiting.poll(0):
        raise DisconnectionError


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    _use_wal(cursor)
    for pragma in (
        "synchronous = FULL",  # what was answered is there after a power loss
        "foreign_keys = ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _use_wal(cursor: Any) -> None:
    """Has the database write ahead, which it remembers; who waits for others here waits himself.

    SQLite does not heed its busy timeout while it changes the mode (sqlite3_busy_handler).
    """
    deadline = time.monotonic() + _BUSY_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    is_writer = connection.get_execution_options().get("is_writer", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")


def _migrations() -> Config:
    config = Config()
    folder = importlib.resources.files("datacachalog.server") / "migrations"
    config.set_main_option("script_location", str(folder))
    return config

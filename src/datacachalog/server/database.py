"""The registry's database: SQLite in a file, or PostgreSQL."""

from __future__ import annotations

import importlib.resources
import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError

from datacachalog.server.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, Connection, Engine

_BUSY_MS = 10_000
_LOCK = 0x64_61_74_6C  # any number that no other program takes


class Database:
    """Transactions on the registry's database. Threads may share one."""

    def __init__(self, url: str) -> None:
        self.url = _checked(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._engine = _engine(self.url)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database, and changes nothing."""
        with self._engine.connect() as connection, connection.begin():
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

    def migrate(self) -> None:
        """Brings the database to the newest form. Of several processes, one does it.

        Raises:
            DatabaseError: it is of a newer version of this program.
        """
        with self.alone() as connection:
            config = _migrations()
            found = MigrationContext.configure(connection).get_current_revision()
            known = {one.revision for one in ScriptDirectory.from_config(config).walk_revisions()}
            if found is not None and found not in known:
                raise DatabaseError(str(self), f"is of a newer version ({found})")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def close(self) -> None:
        """Gives back all connections."""
        self._engine.dispose()

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)


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
        return create_engine(url, pool_size=10, max_overflow=20, pool_pre_ping=True)
    assert url.database is not None  # noqa: S101 - seen by _checked
    Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, pool_size=10, max_overflow=20)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


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

"""Registries with as many tables as a benchmark wants, and their servers."""

from __future__ import annotations

import contextlib
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import insert, text

from datacachalog.server.identity.access import ObjectKind, Privilege
from datacachalog.server.identity.principals import (
    create_grant,
    create_key,
    create_principal,
    first_admin,
    now,
)
from datacachalog.server.schema import namespaces
from datacachalog.server.serve import prepared
from datacachalog.server.settings import ServerSettings
from tests.servers.processes import ServerProcess, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from datacachalog.server.database import Database

SNAPSHOTS_EACH = 10
_FEW = 10  # tables that the reader may see
_FIELDS = (
    "[" + ", ".join(f'{{"name": "c{n}", "type": "int64", "nullable": true}}' for n in range(10))
) + "]"
_SQLITE = (
    "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {last}) {insert}"
)
_POSTGRESQL = "WITH n AS (SELECT generate_series(0, {last}) AS i) {insert}"
_TABLES = """
INSERT INTO tables (id, namespace_id, name, schema_policy, current_snapshot_id, seq, row_version,
    created_by, created_at)
SELECT 'tab-' || i, 'ns-0', 't' || i, 'additive', 'snap-' || i || '-{each}', {each}, {each},
    '{by}', {at} FROM n"""
_SCHEMAS = """
INSERT INTO schemas (id, table_id, fingerprint, fields, created_at)
SELECT 'schema-' || i, 'tab-' || i, 'f', '{fields}', {at} FROM n"""
_SNAPSHOTS = """
INSERT INTO snapshots (id, table_id, seq, uri, format, schema_id, row_count, size_bytes, etag,
    content_sha256, created_by, created_at)
SELECT 'snap-' || (i / {each}) || '-' || (i - i / {each} * {each} + 1), 'tab-' || (i / {each}),
    i - i / {each} * {each} + 1,
    's3://lake/tables/' || i || '.parquet', 'parquet', 'schema-' || (i / {each}), 1000, 100000,
    'etag', 'sha' || i, '{by}', {at} FROM n"""


@dataclass(frozen=True)
class Registry:
    """A server: where it listens, the administrator's key, and that of a reader of ten tables."""

    port: int
    admin: str
    reader: str


@contextlib.contextmanager
def serving(
    folder: Path, environment: Mapping[str, str], tables: int, database_url: str | None
) -> Iterator[Registry]:
    """A server of a new registry that has so many tables, as long as the block runs."""
    settings = ServerSettings(data_dir=folder / "data", database_url=database_url)
    database = prepared(settings)
    with contextlib.closing(database):
        admin, reader = _filled(database, tables)
    (port,) = free_ports(1)
    command = [str(Path(sys.executable).with_name("datlake")), "--data-dir", str(settings.data_dir)]
    if database_url is not None:
        command += ["--database-url", database_url]
    with listening([*command, "serve", "--no-worker", "--port", str(port)], folder, environment):
        _wait(port, "/healthz")
        yield Registry(port, admin, reader)


@contextlib.contextmanager
def listening(
    command: list[str], folder: Path, environment: Mapping[str, str]
) -> Iterator[ServerProcess]:
    """A program that serves as long as the block runs."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log.txt"
    process = ServerProcess(command, folder=folder, environment=environment, log=log)
    try:
        yield process
    finally:
        process.stop()


@contextlib.contextmanager
def empty_route(folder: Path, environment: Mapping[str, str]) -> Iterator[int]:
    """The port of a server that does nothing."""
    (port,) = free_ports(1)
    program = Path(__file__).with_name("programs") / "empty_route.py"
    with listening([sys.executable, str(program), str(port)], folder, environment):
        _wait(port, "/")
        yield port


def _filled(database: Database, tables: int) -> tuple[str, str]:
    each, at = SNAPSHOTS_EACH, int(time.time() * 1e6)
    series = _SQLITE if database.is_sqlite else _POSTGRESQL
    with database.writing() as connection:
        admin = str(first_admin(connection))
        by = create_principal(connection, "owner", "user")
        connection.execute(insert(namespaces).values(id="ns-0", name="default", created_at=now()))
        for count, statement in (
            (tables, _TABLES),
            (tables, _SCHEMAS),
            (tables * each, _SNAPSHOTS),
        ):
            filled = statement.format(each=each, by=by, at=at, fields=_FIELDS)
            connection.exec_driver_sql(series.format(last=count - 1, insert=filled))
        reader = create_principal(connection, "reader", "service")
        for number in range(0, tables, tables // _FEW):
            on = (ObjectKind.TABLE, f"tab-{number}")
            create_grant(connection, reader, Privilege.SELECT, *on)
        key = create_key(connection, reader, "")
    with database.writing() as connection:
        connection.execute(text("ANALYZE"))
    return admin, key


def _wait(port: int, path: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10):
                return
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)

"""An object as a file: positions, ends, and threads that share it."""

from __future__ import annotations

import io
import os
import threading
import time
from datetime import UTC, datetime

import duckdb
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datacachalog.integrations.object_file import ObjectFile, local_file

DATA = bytes(range(256)) * 4


def file_of(data=DATA):
    return ObjectFile(len(data), lambda start, end: data[start:end])


def test_it_reads_as_any_file_does():
    file, other = file_of(), io.BytesIO(DATA)

    for step in (
        lambda one: one.read(10),
        lambda one: one.seek(5, os.SEEK_CUR),
        lambda one: one.read(3),
        lambda one: one.seek(-4, os.SEEK_END),
        lambda one: one.read(100),
        lambda one: one.read(1),
        lambda one: one.tell(),
        lambda one: one.seek(2000),
        lambda one: one.read(),
        lambda one: one.seek(1000),
        lambda one: one.read(),
        lambda one: one.tell(),
    ):
        assert step(other) == step(file)
    assert file.readable()
    assert file.seekable()


def test_there_is_nothing_before_the_first_byte():
    with pytest.raises(ValueError, match="before its first"):
        file_of().seek(-1)


def test_it_can_be_buffered():
    assert DATA == io.BufferedReader(file_of(), 100).read()


def test_nothing_is_asked_for_where_nothing_is():
    asked = []

    def read_range(start, end):
        asked.append((start, end))
        return b"abc"[start:end]

    file = ObjectFile(3, read_range)

    assert (b"abc", b"", b"") == (file.read(), file.read(), file.read(5))
    assert [(0, 3)] == asked


def test_a_local_file_is_closed_with_it(tmp_path):
    (tmp_path / "a").write_bytes(DATA)

    with local_file(tmp_path / "a") as file:
        assert DATA == file.read()

    assert file.closed  # and the one behind it: pytest tells of files that are left open


def test_each_thread_reads_where_it_sought():
    file = file_of()
    file.seek(10)

    other = threading.Thread(target=file.seek, args=(200,))
    other.start()
    other.join()

    assert DATA[10:12] == file.read(2)


def test_who_has_not_sought_reads_on_where_another_ended():
    file, found = file_of(), []
    file.seek(10)
    file.read(5)

    other = threading.Thread(target=lambda: found.append(file.read(2)))
    other.start()
    other.join()

    assert [DATA[15:17]] == found
    assert DATA[17:19] == file.read(2)


class Slow(ObjectFile):
    """Gives other threads time between a seek and its read."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        found = super().seek(offset, whence)
        time.sleep(0.001)
        return found


def test_duckdb_reads_with_several_threads_at_once(tmp_path):
    path, rows = tmp_path / "a.parquet", 1_000_000
    numbers = {name: np.random.default_rng(1).random(rows) for name in "abcd"}
    pq.write_table(pa.table({"id": np.arange(rows), **numbers}), path, row_group_size=100_000)
    data = path.read_bytes()

    class Files(fsspec.AbstractFileSystem):  # type: ignore[misc] # no types
        protocol, cachable = "slow", False

        def open(self, *_, **__):
            return Slow(len(data), lambda start, end: data[start:end])

        def size(self, _):
            return len(data)

        def modified(self, _):
            return datetime.fromtimestamp(0, UTC)

        def glob(self, path, **_):
            return [path]

    with duckdb.connect(config={"threads": "4"}) as connection:
        connection.register_filesystem(Files())
        found = connection.sql("SELECT sum(id), max(a), min(d) FROM read_parquet('slow://a')")

        assert [(rows * (rows - 1) // 2, numbers["a"].max(), numbers["d"].min())] == (
            found.fetchall()
        )

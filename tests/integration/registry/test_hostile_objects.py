"""Objects that lie about themselves: each is refused soon, with a reason, and costs little."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import time
import zipfile
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datacachalog.server.work.inspecting import MAX_COLUMNS, MAX_FOOTER_BYTES
from tests.integration.registry.world import ended

REGISTER = "/api/v1/jobs/register-snapshot"


def parquet(table: pa.Table, **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


GOOD = parquet(pa.table({"id": [1, 2, 3], "name": ["a", "b", "c"]}))
FOOTER = struct.unpack("<I", GOOD[-8:-4])[0]


def with_length(length: int) -> bytes:
    """A file whose footer says that it has this length."""
    return GOOD[:-8] + struct.pack("<I", length) + b"PAR1"


def with_footer(footer: bytes) -> bytes:
    return b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1"


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.csv", b"a" * (1 << 26))
    return file.getvalue()


LYING = {
    "a footer that is longer than the file": ("parquet", with_length(len(GOOD))),
    "a footer of four gigabytes": ("parquet", with_length(2**32 - 1)),
    "a footer of nothing": ("parquet", with_length(0)),
    "half a footer": ("parquet", with_length(FOOTER // 2)),
    "more than the footer": ("parquet", with_length(FOOTER + 5)),
    "zeros for a footer": ("parquet", with_footer(bytes(10_000))),
    # Thrift: a list of 2**31 schema elements, and strings as long.
    "a list of billions": ("parquet", with_footer(b"\x15\x02\x19\xfc" + b"\xff" * 4 + b"\x07")),
    "a name of gigabytes": (
        "parquet",
        with_footer(b"\x15\x02\x19\x1c\x48" + b"\xff" * 4 + b"\x07"),
    ),
    "structs within structs": ("parquet", with_footer(b"\x1c" * 1_000_000)),
    "lists within lists": ("parquet", with_footer(b"\x19" * 1_000_000)),
    "the end alone": ("parquet", b"PAR1" * 3),
    "too many columns": (
        "parquet",
        parquet(pa.table({f"c{n}": pa.array([], pa.int8()) for n in range(MAX_COLUMNS + 1)})),
    ),
    "a bomb for JSON": ("jsonl", gzip.compress(b'{"a": 1}\n' * (1 << 22))),
    "a bomb for CSV": ("csv", zipped()),
    "one line that never ends": ("csv", b"a" * (3 << 20)),
    "columns without end": ("csv", b",".join(b"c%d" % n for n in range(MAX_COLUMNS + 1)) + b"\n"),
    "deep JSON": ("jsonl", b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}\n"),
    "JSON that is no object": ("jsonl", b"[1, 2, 3]\n"),
    "no text at all": ("csv", b"a,b\n\xff\xfe,1\n" + bytes(range(256)) * 10),
    "NUL": ("csv", b"a\0,b\0\n1,2,3\n"),
}


def registered(registry, name: str, kind: str, data: bytes) -> dict[str, Any]:
    file = registry.objects / name.replace(" ", "-")
    file.write_bytes(data)
    asked = {"table_name": "t", "uri": file.as_uri(), "format": kind}
    answer = registry.admin.post(REGISTER, json=asked)
    return ended(registry.admin, answer.headers["location"])


def test_what_lies_is_refused_at_the_first_attempt(registry):
    for name, (kind, data) in LYING.items():
        begun = time.monotonic()
        job = registered(registry, name, kind, data)

        assert ("failed", f"not_{kind}", 1) == (
            job["status"],
            job["error_code"],
            job["attempts"],
        ), (name, job)
        assert len(job["error"]) <= 2_000
        assert time.monotonic() - begun < 40
    assert 404 == registry.admin.get("/api/v1/tables/t/snapshots/latest").status_code


def test_no_more_of_a_footer_is_read_than_it_may_have(registry):
    """The file is as long as its footer says, but has no bytes on the disk."""
    file = registry.objects / "sparse"
    with file.open("wb") as out:
        out.seek(MAX_FOOTER_BYTES + 1_000)
        out.write(struct.pack("<I", MAX_FOOTER_BYTES + 1) + b"PAR1")
    asked = {"table_name": "t", "uri": file.as_uri(), "format": "parquet"}

    job = ended(registry.admin, registry.admin.post(REGISTER, json=asked).headers["location"])

    assert "not_parquet" == job["error_code"]
    assert f"{MAX_FOOTER_BYTES} are read" in job["error"]


def test_as_many_columns_as_may_be(registry):
    table = pa.table({f"c{n}": pa.array([], pa.int8()) for n in range(MAX_COLUMNS)})

    job = registered(registry, "wide", "parquet", parquet(table))

    assert "completed" == job["status"], job["error"]
    found = registry.admin.get("/api/v1/tables/t/snapshots/latest").json()
    assert MAX_COLUMNS == len(found["schema"]["fields"])


def test_a_million_row_groups(registry):
    """As many as fit in a moment: the footer is what grows."""
    table = pa.table({"id": list(range(20_000))})

    job = registered(registry, "groups", "parquet", parquet(table, row_group_size=1))

    assert "completed" == job["status"], job["error"]
    assert 20_000 == registry.admin.get("/api/v1/tables/t/snapshots/latest").json()["row_count"]


NAMES = ["", " ", "a\0b", "\x1b[31m", "\u202e", "ü", "a" * 100_000, "'; DROP TABLE x", "a.b", "\n"]


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_columns_of_any_name(registry, kind):
    """They are kept as they are: it is the reader who decides what to make of them."""
    data = {
        "parquet": parquet(pa.table({name: pa.array([], pa.int64()) for name in NAMES})),
        "jsonl": json.dumps(dict.fromkeys(NAMES, 1)).encode() + b"\n",
    }

    job = registered(registry, "names", kind, data[kind])

    assert "completed" == job["status"], job["error"]
    answer = registry.admin.get("/api/v1/tables/t/snapshots/latest")
    assert NAMES == [one["name"] for one in answer.json()["schema"]["fields"]]
    other = {"parquet": parquet(pa.table({"id": [1]})), "jsonl": b'{"id": "1"}\n'}
    job = registered(registry, "others", kind, other[kind])  # the difference is told of all
    assert "schema_incompatible" == job["error_code"]


def test_the_same_column_twice(registry):
    table = pa.Table.from_arrays([pa.array([1]), pa.array(["a"])], names=["id", "id"])
    for number in range(2):
        job = registered(registry, f"twice-{number}", "parquet", parquet(table) + b"")

        assert "completed" == job["status"], job["error"]


def test_a_folder_a_pipe_and_a_device_are_no_objects(registry):
    (registry.objects / "folder").mkdir()
    os.mkfifo(registry.objects / "pipe")
    for name in ("folder", "pipe"):
        asked = {"table_name": "t", "format": "csv"}
        uri = (registry.objects / name).as_uri()
        answer = registry.admin.post(REGISTER, json={**asked, "uri": uri})

        job = ended(registry.admin, answer.headers["location"])

        assert ("failed", "uri_not_found") == (job["status"], job["error_code"]), job

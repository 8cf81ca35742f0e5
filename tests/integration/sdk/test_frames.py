"""Tables as data frames and samples, from S3, from files, and from a registry elsewhere."""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import json
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from datacachalog.domain.errors import (
    DatacachalogError,
    ForbiddenError,
    MissingExtraError,
    ObjectNotFoundError,
    ObjectReplacedError,
    ReadingError,
    UnsupportedSchemeError,
)
from datlake_sdk import DatlakeClient
from tests.integration.sdk.lake import parquet
from tests.servers.datlake import DATLAKE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.datlake import DatlakeServer


@pytest.fixture
def client(lake):
    return DatlakeClient(lake.server.base_url, lake.server.admin_key)


FORMS = [
    ("parquet", parquet(id=[1, 2], city=["Köln", None])),
    ("csv", "id,city\n1,Köln\n2,\n".encode()),
    ("jsonl", '{"id": 1, "city": "Köln"}\n{"id": 2}\n'.encode()),
    ("json", '[{"id": 1, "city": "Köln"}, {"id": 2}]'.encode()),
]


@pytest.mark.parametrize("where", ["s3", "file"])
@pytest.mark.parametrize(("form", "data"), FORMS)
def test_a_table_of_each_format_becomes_each_frame(lake, client, table, where, form, data):
    lake.table(table, data, form, where)

    frames = [client.read(table), client.read(table, engine="pandas"), client.read(table, "arrow")]

    assert [pl.DataFrame, pd.DataFrame, pa.Table] == [type(one) for one in frames]
    assert [[1, 2]] * 3 == [list(one) for one in (frames[0]["id"], frames[1]["id"])] + [
        frames[2]["id"].to_pylist()
    ]
    assert all("Köln" == one["city"][0] for one in frames[:2])


@pytest.mark.parametrize(("form", "data"), FORMS)
def test_only_some_columns_in_their_order(lake, client, table, form, data):
    lake.table(table, data, form, "s3")

    assert ["city", "id"] == client.read(table, columns=["city", "id"]).columns
    assert ["city"] == client.read(table, "arrow", columns=["city"]).column_names
    with pytest.raises(ReadingError, match="it has no column 'town'; it has id, city"):
        client.read(table, columns=["town"])


def test_of_parquet_only_the_bytes_of_the_columns_come(lake, client, table, counting, monkeypatch):
    texts = [f"{one * 7919 % 1_000_003:x}" * 5 for one in range(50_000)]
    snapshot = lake.table(table, parquet(id=list(range(50_000)), text=texts), "parquet", "s3")
    monkeypatch.setenv("AWS_ENDPOINT_URL", counting.endpoint)

    assert 50_000 == client.read(table, columns=["id"]).height

    assert counting.bytes_down < snapshot.size_bytes / 2


def test_a_frame_has_the_types_that_the_registry_knows(lake, client, table):
    columns = {
        "when": pa.array([dt.datetime(2025, 1, 2, 3, tzinfo=dt.UTC)], pa.timestamp("us", "UTC")),
        "day": pa.array([dt.date(2025, 1, 2)]),
        "cents": pa.array([decimal.Decimal("1.50")]),
        "tags": pa.array([["a", "b"]]),
        "at": pa.array([{"x": 1.5}]),
    }
    snapshot = lake.table(table, parquet(**columns), "parquet", "s3")

    found = client.read(table, "arrow")

    assert snapshot.schema is not None
    assert [(one["name"], one["type"]) for one in snapshot.schema["fields"]] == [
        (one.name, str(one.type)) for one in found.schema
    ]


def test_an_index_of_pandas_is_one_again(lake, client, table, tmp_path):
    frame = pd.DataFrame({"n": [1, 2]}, index=pd.Index(["a", "b"], name="key"))
    frame.to_parquet(tmp_path / "a.parquet")
    lake.table(table, (tmp_path / "a.parquet").read_bytes(), "parquet", "file")

    assert ["a", "b"] == client.read(table, "pandas").index.tolist()


def test_an_earlier_snapshot_is_read_by_its_id(lake, client, table):
    first = lake.table(table, b"id\n1\n", "csv", "file")
    lake.table(table, b"id\n2\n", "csv", "file")

    assert [2] == client.read(table)["id"].to_list()
    assert [1] == client.read(table, snapshot_id=first.snapshot_id)["id"].to_list()
    assert [{"id": 1}] == client.sample(table, snapshot_id=first.snapshot_id)


# --- what may go wrong


@pytest.mark.parametrize(
    ("engine", "library", "extra"),
    [
        ("polars", "polars", "polars"),
        ("pandas", "pandas", "pandas"),
        ("arrow", "pyarrow", "arrow"),
        ("polars", "pyarrow", "polars"),
        ("sample", "pyarrow", "arrow"),
        ("sql", "duckdb", "duckdb"),
        ("sql", "fsspec", "duckdb"),
    ],
)
def test_a_library_that_is_missing_is_told_with_what_installs_it(
    lake, client, table, monkeypatch, engine, library, extra
):
    lake.table(table, b"id\n1\n", "csv", "file")
    for name in ("frames", "samples", "duckdb"):
        monkeypatch.delitem(sys.modules, f"datacachalog.integrations.{name}", raising=False)
    monkeypatch.setitem(sys.modules, library, None)

    with pytest.raises(MissingExtraError, match=f"needs {library}, which is not in") as told:
        {"sample": lambda: client.sample(table), "sql": lambda: client.sql("SELECT 1")}.get(
            engine, lambda: client.read(table, engine)
        )()

    assert f"pip install 'datacachalog[{extra}]'" == told.value.hint


def test_an_engine_that_there_is_not_is_refused(client, table):
    with pytest.raises(ValueError, match="'polars', 'pandas' or 'arrow', not 'spark'"):
        client.read(table, engine="spark")


BROKEN = [
    ("jsonl", b'{"id": 1}\n' * 150_000 + b'{"id": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"),
    ("jsonl", b'{"id": 1}\n' * 150_000 + b'{"id": "\n'),
    ("csv", b"id\n" + b"1\n" * 600_000 + b"1,2\n"),
    ("json", b"[" * 100_000),
    ("json", b'{"id": 1}'),
    ("json", b"\xff\xfe"),
]


@pytest.mark.parametrize(("form", "data"), BROKEN)
def test_what_is_not_of_its_format_is_told_and_ends_no_process(lake, client, table, form, data):
    lake.table(table, data, form, "file")

    with pytest.raises(ReadingError, match=table):
        client.read(table)


def test_brackets_in_strings_are_not_nested(lake, client, table):
    lake.table(table, b'{"id": "' + b"[{" * 500 + b'\\""}\n', "jsonl", "file")

    assert [1003 - 2] == [len(one) for one in client.read(table)["id"]]


def test_an_address_of_another_kind_is_refused(client, lake, table):
    snapshot = lake.table(table, b"id\n1\n", "csv", "file")
    with pytest.raises(UnsupportedSchemeError, match="tables in S3 and in files"):
        client._files.find(type(snapshot)(**{**told(snapshot), "uri": "https://x.example/a.csv"}))


def told(snapshot):
    return {name: getattr(snapshot, name) for name in type(snapshot).__dataclass_fields__}


# --- a registry on another machine


class Elsewhere(BaseHTTPRequestHandler):
    """Passes on what a registry answers, with its folder called as it is nowhere here."""

    protocol_version = "HTTP/1.1"
    upstream: str
    folder: str

    def do_GET(self):
        request = urllib.request.Request(self.upstream + self.path)  # noqa: S310 - our own server
        for name in ("Authorization", "If-Match", "If-None-Match"):
            if self.headers.get(name):
                request.add_header(name, self.headers[name])
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                status, headers, body = answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            status, headers, body = error.code, error.headers, error.read()
        if "json" in headers.get("Content-Type", ""):
            body = body.replace(self.folder.encode(), b"/nowhere/objects/of/objects")
        self.send_response(status)
        for name in ("Content-Type", "ETag"):
            if name in headers:
                self.send_header(name, headers[name])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def _elsewhere(server: DatlakeServer) -> Iterator[DatlakeClient]:
    place = {"upstream": server.base_url, "folder": str(server.objects)}
    handler = type("Handler", (Elsewhere,), place)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True).start()
        yield DatlakeClient(f"http://127.0.0.1:{proxy.server_port}", server.admin_key)
        proxy.shutdown()


@pytest.fixture
def elsewhere(lake) -> Iterator[DatlakeClient]:
    """A client whose registry has its folder on a machine that this process cannot see."""
    with _elsewhere(lake.server) as client:
        yield client


def test_files_that_are_not_here_come_from_the_registry(lake, elsewhere, table):
    lake.table(table, parquet(id=[1, 2]), "parquet", "file", key=f"{table}/ä b's.parquet")

    assert "file:///nowhere/objects/of/objects/" in elsewhere.get_table_uri(table)
    assert [(1,), (2,)] == elsewhere.sql(f"FROM {table}").fetchall()
    assert [1, 2] == elsewhere.read(table)["id"].to_list()
    assert [{"id": 1}] == elsewhere.sample(table, 1)


def _add_location(server: DatlakeServer, folder: Path) -> None:
    folder.mkdir()
    command = [str(DATLAKE), "--data-dir", str(server.objects.parent), "location", "add"]
    subprocess.run([*command, folder.as_uri()], check=True, capture_output=True)


def test_a_location_in_the_folder_of_the_registry_hides_no_file(new_server):
    server = new_server()
    _add_location(server, server.objects / "team")
    server.registered("t", server.object(b"id\n1\n", "team/a.csv"), "csv")

    with _elsewhere(server) as client:
        assert [1] == client.read("t")["id"].to_list()


def test_what_became_of_a_file_in_another_location_is_told(new_server, tmp_path):
    server, folder = new_server(), tmp_path / "shared"
    _add_location(server, folder)
    (folder / "a.csv").write_bytes(b"id\n1\n")
    server.registered("t", (folder / "a.csv").as_uri(), "csv")
    reader = DatlakeClient(server.base_url, server.principal(("SELECT", "table:t")))
    assert [1] == reader.read("t")["id"].to_list()

    (folder / "a.csv").write_bytes(b"id\n22\n")

    with pytest.raises(ObjectReplacedError):
        reader.read("t")


def test_what_the_registry_has_in_its_place_is_not_taken_for_it(lake, elsewhere, table):
    snapshot = lake.table(table, b"id\n1\n", "csv", "file")
    lake.put(snapshot.uri, b"id\n2\n")

    with pytest.raises(ObjectReplacedError):
        elsewhere.read(table)


def test_what_is_nowhere_is_told(lake, elsewhere, client, table):
    snapshot = lake.table(table, b"id\n1\n", "csv", "file")
    lake.server.objects.joinpath(snapshot.uri.partition("/objects/")[2]).unlink()

    for one in (elsewhere, client):
        with pytest.raises(ObjectNotFoundError, match="not on this machine, nor in the folder"):
            one.read(table)


# --- samples


def test_a_sample_is_json(lake, client, table):
    columns = {
        "when": pa.array([dt.datetime(2025, 1, 2, 3, 4, 5, 6, dt.UTC)], pa.timestamp("ns", "UTC")),
        "naive": pa.array([1735786800000], pa.timestamp("ms")),
        "day": [dt.date(2025, 1, 2)],
        "time": [dt.time(3, 4, 5, 6)],
        "lasted": [dt.timedelta(seconds=1.5)],
        "cents": [decimal.Decimal("1.50")],
        "data": [b"\x00\xff"],
        "odd": [float("nan")],
        "large": [float("-inf")],
        "tags": [["a", None]],
        "days": [[dt.date(2025, 1, 2)]],
        "at": [{"x": 1.5, "y": decimal.Decimal(2)}],
        "map": pa.array([[("k", b"v")]], pa.map_(pa.string(), pa.binary())),
        "kind": pa.array(["a"]).dictionary_encode(),
        "none": pa.array([None], pa.int8()),
        "yes": [True],
        "n": [2**53 + 1],
    }
    lake.table(table, parquet(**columns), "parquet", "s3")

    [found] = client.sample(table)

    assert {
        "when": "2025-01-02T03:04:05.000006000Z",
        "naive": "2025-01-02T03:00:00.000",
        "day": "2025-01-02",
        "time": "03:04:05.000006",
        "lasted": "1.5",
        "cents": "1.50",
        "data": "AP8=",
        "odd": "NaN",
        "large": "-Infinity",
        "tags": ["a", None],
        "days": ["2025-01-02"],
        "at": {"x": 1.5, "y": "2"},
        "map": [["k", "dg=="]],
        "kind": "a",
        "none": None,
        "yes": True,
        "n": 2**53 + 1,
    } == found
    assert found == json.loads(json.dumps(found, allow_nan=False))


@pytest.mark.parametrize(("form", "data"), FORMS)
@pytest.mark.parametrize("where", ["s3", "file"])
def test_a_sample_is_the_first_rows(lake, client, table, form, data, where):
    lake.table(table, data, form, where)

    assert [{"id": 1, "city": "Köln"}] == client.sample(table, rows=1)
    assert 2 == len(client.sample(table))
    with pytest.raises(ValueError, match="at least 1"):
        client.sample(table, rows=0)


LINES = [f"{one:x}" * 9 for one in range(300_000)]
LARGE = [
    ("parquet", parquet(id=list(range(len(LINES))), text=LINES)),
    ("csv", ("id,text\n" + "".join(f"{n},{one}\n" for n, one in enumerate(LINES))).encode()),
    (
        "jsonl",
        "".join(f'{{"id":{n},"text":"{one}"}}\n' for n, one in enumerate(LINES)).encode(),
    ),
]


@pytest.mark.parametrize(("form", "data"), LARGE)
def test_a_sample_takes_few_bytes(lake, client, table, counting, monkeypatch, form, data):
    lake.table(table, data, form, "s3")
    monkeypatch.setenv("AWS_ENDPOINT_URL", counting.endpoint)

    found = client.sample(table)

    assert [{"id": n, "text": LINES[n]} for n in range(100)] == found
    assert len(data) > 3_000_000
    assert counting.bytes_down < 1 << 20


def test_more_rows_than_the_first_bytes_hold(lake, client, table):
    form, data = LARGE[1]
    lake.table(table, data, form, "s3")

    assert list(range(20_000)) == [one["id"] for one in client.sample(table, rows=20_000)]


def test_a_sample_is_read_once(lake, client, table, counting, monkeypatch):
    lake.table(table, b"id\n" + b"1\n" * 200, "csv", "s3")
    found = client.sample(table, rows=50)
    whole = client.sample(table, rows=1000)
    monkeypatch.setenv("AWS_ENDPOINT_URL", counting.endpoint)
    again = DatlakeClient(lake.server.base_url, lake.server.admin_key)

    assert (found, whole) == (again.sample(table, rows=50), again.sample(table, rows=5000))
    assert (50, 200, []) == (len(found), len(whole), counting.requests)

    offline = DatlakeClient("http://127.0.0.1:1", offline=True)
    with pytest.raises(DatacachalogError):
        offline.sample(table)
    offline = DatlakeClient(lake.server.base_url, lake.server.admin_key, offline=True)
    assert found == offline.sample(table, rows=50)

    lake.table(table, b"id\n2\n", "csv", "s3")
    assert [{"id": 2}] == again.sample(table)
    again.cache.clear(table)
    assert [{"id": 2}] == again.sample(table)


def test_a_sample_that_another_may_read_is_not_for_all(lake, client, table):
    lake.table(table, b"id\n1\n", "csv", "file")
    client.sample(table)
    stranger = DatlakeClient(lake.server.base_url, lake.server.principal())

    with pytest.raises(ForbiddenError):
        stranger.sample(table)


def test_frames_and_samples_are_awaited(lake, client, table):
    lake.table(table, b"id\n1\n", "csv", "s3")

    async def ask():
        return await asyncio.gather(client.aio.read(table, "pandas"), client.aio.sample(table))

    frame, rows = asyncio.run(ask())

    assert ([1], [{"id": 1}]) == (frame["id"].tolist(), rows)

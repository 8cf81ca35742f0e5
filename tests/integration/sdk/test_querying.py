"""SQL over the registry's tables: their names, their objects, and what may go wrong."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest

from datacachalog.domain.errors import (
    ForbiddenError,
    NotFoundError,
    ObjectNotFoundError,
    ObjectReplacedError,
    OfflineError,
    QueryError,
    StorageAccessError,
    UnreadableFormatError,
)
from datacachalog.domain.lineage import recording
from datlake_sdk import DatlakeClient
from tests.integration.sdk.lake import parquet

if TYPE_CHECKING:
    from tests.integration.sdk.lake import Lake


@pytest.fixture
def client(lake):
    return DatlakeClient(lake.server.base_url, lake.server.admin_key)


# --- what is read


@pytest.mark.parametrize("where", ["s3", "file"])
@pytest.mark.parametrize(
    ("form", "data"),
    [
        ("parquet", parquet(id=[1, 2], city=["Köln", "Bern"])),
        ("csv", "id,city\n1,Köln\n2,Bern\n".encode()),
        ("jsonl", '{"id": 1, "city": "Köln"}\n{"id": 2, "city": "Bern"}\n'.encode()),
        ("json", '[{"id": 1, "city": "Köln"}, {"id": 2, "city": "Bern"}]'.encode()),
    ],
)
def test_a_table_of_each_format_is_read_wherever_it_is(lake, client, table, where, form, data):
    lake.table(table, data, form, where)

    found = client.sql(f"SELECT city, id FROM {table} ORDER BY id")

    assert [("Köln", 1), ("Bern", 2)] == found.fetchall()
    assert ["Köln", "Bern"] == found.to_df()["city"].tolist()


def test_times_with_a_zone_are_rows_too(lake, client, table):
    at = datetime(2026, 1, 1, tzinfo=UTC)
    lake.table(table, parquet(at=[at]), "parquet", "file")

    assert [(at,)] == client.sql(f"FROM {table}").fetchall()


def test_tables_of_s3_and_of_files_are_joined(lake, client, table):
    lake.table(table, parquet(id=[1, 2, 3]), "parquet", "s3")
    lake.table(f"team.{table}", b"id,name\n2,b\n3,c\n", "csv", "file")

    query = f"SELECT name FROM {table} JOIN team.{table} AS other USING (id) ORDER BY name"

    assert [("b",), ("c",)] == client.sql(query).fetchall()


def test_no_extension_is_loaded_to_read_s3(lake, client, table):
    uri = lake.table(table, parquet(id=[7]), "parquet", "s3").uri
    with client.duckdb() as connection:
        found = connection.sql(f"SELECT * FROM '{uri}'").fetchall()
        loaded = connection.sql("SELECT extension_name FROM duckdb_extensions() WHERE loaded")
        known = {name for (name,) in loaded.fetchall()}

    assert [(7,)] == found
    assert "httpfs" not in known
    with client.duckdb() as connection, pytest.raises(duckdb.Error, match="httpfs"):
        connection.sql("SELECT * FROM 'https://127.0.0.1:1/x.parquet'")


def test_threads_that_read_one_object_at_once_get_its_bytes(lake, client, table):
    ids = list(range(400_000))
    data = parquet(20_000, id=ids, other=[f"{one:x}" for one in reversed(ids)])
    lake.table(table, data, "parquet", "s3")
    query = f"SELECT sum(id), max(other), min(other), count(DISTINCT other) FROM {table}"

    with client.duckdb() as connection:
        connection.execute("SET threads = 8")
        found = client.sql(query, connection=connection).fetchall()

    others = [f"{one:x}" for one in ids]
    assert [(sum(ids), max(others), min(others), len(ids))] == found


def test_only_the_columns_that_are_asked_for_are_read(lake, client, table, counting, monkeypatch):
    blob = "x".join(str(one * 7919 % 100_003) for one in range(200_000))
    texts = [blob[one : one + 40] for one in range(0, len(blob) - 40, 10)]
    size = lake.table(table, parquet(id=list(range(len(texts))), text=texts), "parquet", "s3")
    monkeypatch.setenv("AWS_ENDPOINT_URL", counting.endpoint)

    assert [(len(texts) - 1,)] == client.sql(f"SELECT max(id) FROM {table}").fetchall()

    assert counting.bytes_down < size.size_bytes / 4


def test_what_is_in_a_path_makes_no_column(lake, client, table):
    lake.table(table, parquet(id=[1]), "parquet", "s3", key=f"{table}/year=2024/1.parquet")

    assert ["id"] == client.sql(f"FROM {table}").columns


@pytest.mark.parametrize("where", ["s3", "file"])
@pytest.mark.parametrize("name", ["it's.parquet", 'a"b; DROP.parquet', "ä b.csv"])
def test_no_name_of_an_object_is_sql(lake, client, table, where, name):
    form = "csv" if name.endswith("csv") else "parquet"
    data = b"id\n5\n" if form == "csv" else parquet(id=[5])
    lake.table(table, data, form, where, key=f"{table}/{name}")

    assert [(5,)] == client.sql(f"SELECT * FROM {table}").fetchall()
    assert [5] == client.read(table)["id"].to_list()


# --- names


QUERIES = [
    ("SELECT id FROM {t}", [(1,), (2,)]),
    ("FROM {t}", [(1,), (2,)]),
    ("SELECT x.id FROM {t} AS x", [(1,), (2,)]),
    ("SELECT {t}.id FROM {t}", [(1,), (2,)]),
    ('SELECT "{t}"."id" FROM "{t}"', [(1,), (2,)]),
    ('SELECT * FROM "default".{t}', [(1,), (2,)]),
    ("SELECT ns.{t}.id FROM ns.{t}", [(9,)]),
    ("SELECT {t}.id FROM ns.{t}", [(9,)]),
    ("SELECT a.id, b.id FROM {t} a CROSS JOIN ns.{t} b", [(1, 9), (2, 9)]),
    ("WITH {t} AS (SELECT 5 AS id) SELECT id FROM {t}", [(5,)]),
    ("WITH a AS (SELECT max(id) AS id FROM {t}) SELECT a.id FROM a", [(2,)]),
    ("WITH {t} AS (SELECT max(id) AS id FROM {t}) SELECT id FROM {t}", [(2,)]),
    ("WITH {U} AS (SELECT 5 AS id) SELECT id FROM {t}", [(5,)]),
    ("WITH {t} AS (SELECT 5 AS id) SELECT * FROM (SELECT id FROM {t})", [(5,)]),
    ("SELECT * FROM (WITH {t} AS (SELECT 5 AS id) SELECT id FROM {t})", [(5,)]),
    ("WITH {t} AS (SELECT 5 AS id) SELECT id FROM ns.{t}", [(9,)]),
    (
        "WITH RECURSIVE {t} AS (SELECT 1 n UNION ALL SELECT n + 1 FROM {t} WHERE n < 3) FROM {t}",
        [(1,), (2,), (3,)],
    ),
    ("WITH c AS MATERIALIZED (FROM {t}) SELECT sum(id) FROM c", [(3,)]),
    ("SELECT id FROM {t} UNION ALL SELECT id FROM ns.{t} ORDER BY id", [(1,), (2,), (9,)]),
    ("SELECT (SELECT max(id) FROM ns.{t}) FROM {t}", [(9,), (9,)]),
    ("SELECT id FROM {t} WHERE id IN (SELECT id FROM {t} WHERE id > 1)", [(2,)]),
    ("SELECT x FROM {t} AS renamed(x)", [(1,), (2,)]),
    ("SELECT count(*) FROM {t} TABLESAMPLE 100%", [(2,)]),
    ("SELECT * FROM range(2)", [(0,), (1,)]),
    ("SELECT 'FROM {t}'", [("FROM t",)]),
    ("SELECT count(*) FROM information_schema.tables WHERE false", [(0,)]),
    ("SELECT column_name FROM (DESCRIBE {t})", [("id",)]),
]


@pytest.fixture(scope="module")
def named(own_lake):
    name = "names_of_queries"
    own_lake.table(name, b"id\n1\n2\n", "csv", "file")
    own_lake.table(f"ns.{name}", b"id\n9\n", "csv", "file")
    return name


@pytest.mark.parametrize(("query", "expected"), QUERIES)
def test_a_name_means_what_it_means_in_sql(client, named, query, expected):
    text = query.format(t=named, U=named.upper())

    found = client.sql(text).fetchall()

    assert json.loads(json.dumps(expected).replace("FROM t", f"FROM {named}")) == list(
        map(list, found)
    )


def test_a_view_of_the_connection_comes_before_a_table_of_the_registry(client, named):
    with client.duckdb() as connection:
        connection.execute(f"CREATE VIEW {named} AS SELECT 77 AS id")
        connection.execute("CREATE TEMP TABLE mine AS SELECT 9 AS id")
        query = f"SELECT v.id, mine.id FROM {named} v, mine JOIN ns.{named} n ON n.id = mine.id"

        assert [(77, 9)] == client.sql(query, connection=connection).fetchall()
        assert [(1,), (2,)] == client.sql(f"FROM {named}").fetchall()


def test_a_variable_of_the_caller_is_no_table(client):
    nothing_in_the_registry = pa.table({"id": [1]})

    with pytest.raises(NotFoundError, match="nothing_in_the_registry"):
        client.sql("SELECT * FROM nothing_in_the_registry")
    assert 1 == nothing_in_the_registry.num_rows


def test_two_clients_share_a_connection(lake, client, named):
    other = DatlakeClient(lake.server.base_url, lake.server.admin_key)
    with client.duckdb() as connection:
        found = [
            one.sql(f"SELECT max(id) FROM ns.{named}", connection=connection).fetchall()
            for one in (client, other)
        ]

    assert [[(9,)], [(9,)]] == found


def test_relations_of_one_connection_are_joined_and_outlive_the_client(lake, named):
    def relation():
        client = DatlakeClient(lake.server.base_url, lake.server.admin_key)
        connection = client.duckdb()
        one = client.sql(f"SELECT id FROM {named}", connection=connection)
        return one.union(client.sql(f"SELECT id FROM ns.{named}", connection=connection))

    assert [(1,), (2,), (9,)] == sorted(relation().fetchall())


def test_a_query_does_not_disturb_another_one_that_is_read(client, named):
    reader = client.sql("SELECT * FROM range(1_000_000)").to_arrow_reader()
    first = reader.read_next_batch().num_rows

    assert [(1,), (2,)] == client.sql(f"FROM {named}").fetchall()
    assert 1_000_000 == first + sum(batch.num_rows for batch in reader)

    with client.duckdb() as connection:
        reader = connection.sql("SELECT * FROM range(1_000_000)").to_arrow_reader()
        assert reader.read_next_batch().num_rows
        with pytest.raises(QueryError, match="open result"):
            client.sql(f"FROM {named}", connection=connection).fetchall()
        reader.close()


def test_values_are_bound(client, named):
    assert [(2,)] == client.sql(f"SELECT id FROM {named} WHERE id = ?", params=[2]).fetchall()
    query = f"SELECT id FROM {named} WHERE id = $wanted"
    assert [(1,)] == client.sql(query, params={"wanted": 1}).fetchall()


# --- snapshots


class Moving(DatlakeClient):
    """A client whose table has another snapshot each time after it was asked."""

    lake: Lake

    def get_latest_snapshot_uri(self, table_name):
        found = super().get_latest_snapshot_uri(table_name)
        self.lake.table(table_name, b"id\n" + b"1\n" * (found.seq + 1), "csv", "file")
        return found


def test_every_mention_of_a_table_is_one_snapshot(lake, table):
    lake.table(table, b"id\n1\n", "csv", "file")
    client = Moving(lake.server.base_url, lake.server.admin_key)
    client.lake = lake

    relation = client.sql(
        f'SELECT (SELECT count(*) FROM {table}), (SELECT count(*) FROM "default".{table})'
        f" FROM {table}"
    )

    assert [(1, 1)] == relation.fetchall()
    assert [(2,)] == client.sql(f"SELECT count(*) FROM {table}").fetchall()
    assert [(1, 1)] == relation.fetchall()


def test_an_earlier_snapshot_is_named_in_the_query(lake, client, table):
    first = lake.table(table, b"id\n1\n", "csv", "file")
    lake.table(table, b"id\n2\n", "csv", "s3")
    query = f"SELECT old.id, new.id FROM {table} AS old AT (VERSION => {{}}), {table} new"

    for version in (f"'{first.snapshot_id}'", "1"):
        assert [(1, 2)] == client.sql(query.format(version)).fetchall()
    with pytest.raises(QueryError, match="by its id or number"):
        client.sql(f"FROM {table} AT (TIMESTAMP => now())")
    with pytest.raises(NotFoundError):
        client.sql(f"FROM {table} AT (VERSION => 99)")


class Inputs:
    def __init__(self):
        self.noted = set()

    def read(self, table_name, snapshot_id):
        self.noted.add((table_name, snapshot_id))


def test_what_is_read_is_an_input_of_the_run_around(lake, client, table):
    made = [lake.table(f"{table}_{n}", b"id\n1\n", "csv", "file") for n in range(4)]
    names = [one.table_name for one in made]
    inputs = Inputs()

    client.sql(f"FROM {names[0]}")
    with recording(inputs):  # type: ignore[arg-type] # all that is asked of it here
        client.sql(f"FROM {names[1]} JOIN {names[1]} b USING (id)")
        client.read(names[2], "arrow")
        client.sample(names[3])
        with pytest.raises(QueryError):
            client.sql(f"SELECT nothing FROM {names[0]}")

    assert {(one.table_name, one.snapshot_id) for one in made[1:]} == inputs.noted


# --- what may go wrong


def test_a_table_that_is_not_granted_is_told_by_name(lake, client, table):
    lake.table(table, b"id\n1\n", "csv", "file")
    lake.table(f"{table}_2", b"id\n1\n", "csv", "file")
    reader = DatlakeClient(
        lake.server.base_url, lake.server.principal(("SELECT", f"table:{table}"))
    )

    assert [(1,)] == reader.sql(f"FROM {table}").fetchall()
    with pytest.raises(ForbiddenError, match=f"{table}_2"):
        reader.sql(f"FROM {table} JOIN {table}_2 USING (id)")
    with pytest.raises(NotFoundError, match=f"{table}_3"):
        client.sql(f"FROM {table} JOIN {table}_3 USING (id)")


REFUSED = [
    ("FROM 's3://no-such-bucket-anywhere/x.parquet'", "^there is no object at 's3://no-such"),
    ("SELEC 1", "syntax error"),
    ("", "0"),
    ("SELECT 1; SELECT 2", "one SELECT"),
    ("CREATE TABLE x AS SELECT 1", "only SELECT"),
    ("COPY (SELECT 1) TO 's3://b/x.csv'", "only SELECT"),
    ("INSTALL httpfs", "only SELECT"),
    ("SELECT nothing FROM {t}", "nothing"),
    ("SELECT 1 FROM a.b.c", "b"),
]


@pytest.mark.parametrize(("query", "told"), REFUSED)
def test_what_is_no_select_is_refused(client, named, query, told):
    with pytest.raises(QueryError, match=told):
        client.sql(query.format(t=named))


def test_an_object_that_was_replaced_is_not_read(lake, client, table):
    for where in ("s3", "file"):
        snapshot = lake.table(f"{table}_{where}", b"id\n1\n", "csv", where)
        lake.put(snapshot.uri, b"id\n2\n")
        for read in (
            lambda: client.sql(f"FROM {table}_{where}"),  # noqa: B023 - called at once
            lambda: client.read(f"{table}_{where}"),  # noqa: B023
            lambda: client.sample(f"{table}_{where}"),  # noqa: B023
        ):
            with pytest.raises(ObjectReplacedError, match="is not what was registered"):
                read()


def test_an_object_that_is_replaced_before_it_is_read_is_not_mixed_in(lake, client, table):
    snapshot = lake.table(table, parquet(id=[1, 2, 3]), "parquet", "s3")
    relation = client.sql(f"SELECT sum(id) FROM {table}")
    lake.put(snapshot.uri, parquet(id=[4, 5, 6]))

    with pytest.raises(duckdb.Error, match="changed while it was read"):
        relation.fetchall()


def test_a_version_that_the_bucket_keeps_is_read_as_it_was(lake, client, table):
    snapshot = lake.table(table, parquet(id=[1]), "parquet", "versioned")
    lake.put(snapshot.uri, parquet(id=[2, 3]))

    assert [(1,)] == client.sql(f"FROM {table}").fetchall()
    assert [1] == client.read(table)["id"].to_list()

    lake.delete(snapshot.uri)
    assert [(1,)] == client.sql(f"FROM {table}").fetchall()


def test_what_was_deleted_is_told(lake, client, table):
    for where in ("s3", "file"):
        lake.delete(lake.table(f"{table}_{where}", b"id\n1\n", "csv", where).uri)

        with pytest.raises(ObjectNotFoundError, match=table):
            client.sql(f"FROM {table}_{where}")


def test_offline_only_what_is_on_this_machine_is_read(lake, client, table):
    lake.table(f"{table}_s3", b"id\n1\n", "csv", "s3")
    lake.table(f"{table}_file", b"id\n1\n", "csv", "file")
    for where in ("s3", "file"):
        client.get_latest_snapshot_uri(f"{table}_{where}")
    offline = DatlakeClient(lake.server.base_url, lake.server.admin_key, offline=True)

    assert [(1,)] == offline.sql(f"FROM {table}_file").fetchall()
    with pytest.raises(OfflineError, match="s3://"):
        offline.sql(f"FROM {table}_s3")


def test_a_store_that_refuses_is_told_before_anything_is_read(lake, client, table, monkeypatch):
    lake.table(table, parquet(id=[1]), "parquet", "s3")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")

    with pytest.raises(StorageAccessError):
        client.sql(f"FROM {table}")


def test_credentials_of_a_profile_are_used(lake, client, table, monkeypatch, nobodys_home):
    lake.table(table, parquet(id=[1]), "parquet", "s3")
    for name in lake.s3.environment():
        if name != "AWS_EC2_METADATA_DISABLED":
            monkeypatch.delenv(name)
    (nobodys_home / ".aws").mkdir()
    (nobodys_home / ".aws" / "config").write_text(
        f"[profile lake]\nregion = us-east-1\nendpoint_url = {lake.s3.endpoint}\n"
        f"aws_access_key_id = {lake.s3.access_key}\naws_secret_access_key = {lake.s3.secret_key}\n"
    )
    monkeypatch.setenv("AWS_PROFILE", "lake")

    assert [(1,)] == client.sql(f"FROM {table}").fetchall()


def test_a_format_that_is_not_read_is_told(lake, client, table):
    lake.table(table, b"whatever", "avro", "file")

    for read in (client.sample, client.read, lambda name: client.sql(f"FROM {name}")):
        with pytest.raises(UnreadableFormatError, match="'avro', which is not read here"):
            read(table)


def test_a_connection_only_reads(lake, client):
    with client.duckdb() as connection, pytest.raises(duckdb.Error, match="only reads"):
        connection.execute(f"COPY (SELECT 1 AS id) TO 's3://{lake.bucket}/new.csv'")


# --- processes and threads


def test_threads_share_a_client(client, named):
    def ask(number):
        found = client.sql(f"SELECT sum(id) + {number} FROM {named}").fetchall()
        return found[0][0] - 3

    with ThreadPoolExecutor(8) as pool:
        assert list(range(40)) == list(pool.map(ask, range(40)))


def _in_a_fork(client, names, answers):
    answers.put([client.sql(f"SELECT sum(id) FROM {one}").fetchall() for one in names])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_of_a_process_that_has_queried_queries_too(lake, client, table, named):
    lake.table(table, parquet(id=[4, 5]), "parquet", "s3")
    names, context = (table, named), multiprocessing.get_context("fork")
    assert [(9,)] == client.sql(f"SELECT sum(id) FROM {table}").fetchall()
    answers = context.Queue()

    process = context.Process(target=_in_a_fork, args=(client, names, answers))
    process.start()

    try:
        assert [[(9,)], [(3,)]] == answers.get(timeout=60)
    finally:
        process.kill()
        process.join()


def test_a_client_that_has_queried_can_be_pickled(client, named):
    client.sql(f"FROM {named}")

    again = pickle.loads(pickle.dumps(client))  # noqa: S301 - our own

    assert [(9,)] == again.sql(f"FROM ns.{named}").fetchall()


def _done(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_program_that_queries_ends_without_a_word(lake, table):
    lake.table(table, parquet(id=[4, 5]), "parquet", "s3")
    program = (
        "from datlake_sdk import DatlakeClient\n"
        f"client = DatlakeClient({lake.server.base_url!r}, {lake.server.admin_key!r})\n"
        "connection = client.duckdb()\n"
        f"relation = client.sql('SELECT sum(id) FROM {table}', connection=connection)\n"
        f"print(relation.fetchall(), client.sql('FROM {table}').fetchall())\n"
    )

    done = _done(program)

    assert ("[(9,)] [(4,), (5,)]\n", "") == (done.stdout, done.stderr)


def test_no_thread_of_duckdb_is_left_as_python_ends(lake, table):
    """One that lets go of a file of ours then, would abort the process."""
    lake.table(table, parquet(id=[4, 5]), "parquet", "file")
    program = (
        "import atexit, os, time\n"
        "count = lambda: len(os.listdir('/proc/self/task'))\n"
        "@atexit.register\n"  # what is registered later is called before
        "def last():\n"
        "    until = time.monotonic() + 30\n"  # one that was joined is there for a moment more
        "    while count() > 1 and time.monotonic() < until:\n"
        "        time.sleep(0.02)\n"
        "    print(count())\n"
        "import duckdb\n"
        "from datlake_sdk import DatlakeClient\n"
        f"client = DatlakeClient({lake.server.base_url!r}, {lake.server.admin_key!r})\n"
        "mine, closed = duckdb.connect(), client.duckdb()\n"
        "kept = [\n"
        f"    client.sql('FROM {table}', connection=connection)\n"
        "    for connection in (None, mine, client.duckdb(), closed)\n"
        "]\n"
        "print([one.fetchall() for one in kept] == [[(4,), (5,)]] * 4, count() > 4)\n"
        "closed.close()\n"
    )

    done = _done(program)

    assert ("True True\n1\n", "", 0) == (done.stdout, done.stderr, done.returncode)


@pytest.mark.parametrize("where", ["client.duckdb()", "client.duckdb().cursor()", "None"])
def test_a_query_without_end_does_not_keep_python(lake, table, where):
    lake.table(table, parquet(id=[4, 5]), "parquet", "file")
    program = (
        "import threading, time\n"
        "from datlake_sdk import DatlakeClient\n"
        f"client = DatlakeClient({lake.server.base_url!r}, {lake.server.admin_key!r})\n"
        f"query = 'SELECT count(*) FROM range(60000000000) AS n (i), {table} WHERE i % 7 = id'\n"
        f"asked = client.sql(query, connection={where})\n"
        "thread = threading.Thread(target=asked.fetchall, daemon=True)\n"
        "thread.start()\n"
        "thread.join(0.5)\n"
        "print(thread.is_alive(), flush=True)\n"
    )

    done = _done(program)

    assert "True\n" == done.stdout


def test_the_uri_of_a_file_is_what_duckdb_reads(lake, client, table):
    lake.table(table, parquet(id=[1, 2]), "parquet", "file")

    uri = client.get_table_uri(table)

    results = duckdb.query(f"SELECT * FROM '{uri}'")
    assert results is not None
    assert [1, 2] == results.to_df()["id"].tolist()

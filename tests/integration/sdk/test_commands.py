"""The commands of `datlake` that ask a registry, at a real one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime

import pytest

from datacachalog.adapters.api.metadata import MetadataCache
from datacachalog.domain.registry import Snapshot
from tests.integration.sdk.typing_commands import SCRIPTS, typed
from tests.servers.exchange import Reply, Script

pytestmark = pytest.mark.usefixtures("configured")


@pytest.fixture
def two(server, table):
    """The ids of two snapshots of `table`, the older one first."""
    return [
        server.registered(table, server.object(text), "csv") for text in (b"id\n1\n", b"id\n1\n2\n")
    ]


def uri_of(server, table, snapshot):
    return server.ask("GET", f"/tables/{table}/snapshots/{snapshot}")["uri"]


# --- tables and snapshots


@pytest.mark.parametrize("program", ["datlake", "datalake-cli"])
def test_the_uri_of_a_table_is_all_that_is_printed(server, table, two, program):
    done = typed("get-uri", table, program=program)

    assert (0, uri_of(server, table, two[1]) + "\n", "") == done


def test_an_earlier_snapshot_is_named_by_its_id_its_tag_or_a_time(server, table):
    first = server.registered(table, server.object(b"id\n1\n"), "csv")
    created = server.ask("GET", f"/tables/{table}/snapshots/{first}")["created_at"]
    time.sleep(0.01)
    server.registered(table, server.object(b"id\n2\n"), "csv")
    server.ask("PUT", f"/tables/{table}/tags/gold", {"snapshot_id": first})

    wanted = [uri_of(server, table, first)]
    assert wanted == typed("get-uri", table, "--snapshot", first).lines()
    assert wanted == typed("get-uri", table, "--tag", "gold").lines()
    assert wanted == typed("get-uri", table, "--as-of", created).lines()


def test_a_snapshot_is_named_in_one_way(table):
    done = typed("get-uri", table, "--tag", "gold", "--snapshot", "snap-1")

    assert (2, "", True) == (done.code, done.stdout, "exclude each other" in done.stderr)


def test_a_time_is_read_or_refused(table):
    done = typed("get-uri", table, "--as-of", "yesterday")

    assert 2 == done.code
    assert "'yesterday' is no time such as 2026-01-31T12:00:00Z" in done.stderr


def test_a_snapshot_is_told_as_json(table, two):
    found = typed("get-uri", table, "--json").json()

    assert (table, two[1], two[0], 2) == tuple(
        found[one] for one in ("table_name", "snapshot_id", "parent_id", "seq")
    )
    assert found["created_at"].endswith("Z")
    assert ["id"] == [one["name"] for one in found["schema"]["fields"]]


def test_tables_are_listed(table, two):
    assert [f"{table}\t{two[1]}"] == typed("tables", "--containing", table[2:]).lines()
    assert [{"name": table, "latest_snapshot_id": two[1]}] == (
        typed("tables", "--containing", table, "--json").json()
    )
    assert [] == typed("tables", "--namespace", f"n{table}", "--json").json()


def test_where_there_is_no_table_people_are_told_why_they_see_none(table):
    done = typed("tables", "--containing", table)

    assert (0, "") == (done.code, done.stdout)
    assert "none that you may read" in done.stderr


def test_snapshots_are_listed_the_newest_first(server, table, two):
    rows = [line.split("\t") for line in typed("snapshots", table).lines()]

    assert [[two[1], "2"], [two[0], "1"]] == [row[:2] for row in rows]
    assert uri_of(server, table, two[1]) == rows[0][-1]
    assert [two[1]] == [
        one["snapshot_id"] for one in typed("snapshots", table, "--limit", "1", "--json").json()
    ]


def test_runs_are_listed_and_shown(server, table, two):
    job, made = f"job_{table}", f"made_{table}"
    uri = server.object(b"id\n3\n")
    typed(
        "run", "--job-name", job, "-q", "--",
        str(SCRIPTS / "datlake"), "register-snapshot", "--table-name", made,
        "--uri", uri, "--format", "csv", "--wait",
    )  # fmt: skip
    typed("run", "--job-name", job, "-q", "--", "false")

    failed, done = [line.split("\t") for line in typed("runs", job).lines()]
    facts = dict(line.split("\t") for line in typed("show-run", done[0]).lines())
    told = typed("show-run", done[0], "--json").json()
    [last] = typed("runs", job, "--limit", "1", "--json").json()

    assert ("failed", "success") == (failed[1], done[1])
    assert (job, "success", told["artifacts"][0]["uri"]) == (
        facts["job"],
        facts["status"],
        facts["log"],
    )
    assert facts["output"].startswith(f"{made}@snap-")
    assert (failed[0], False) == (last["run_id"], "artifacts" in last)
    assert "none that you may know of" in typed("runs", f"no_{job}").stderr
    assert 3 == typed("show-run", "nowhere").code


def test_what_a_table_was_made_of_is_listed(server, table, two):
    job, made = f"job_{table}", f"made_{table}"
    uri = server.object(b"id\n3\n")
    done = typed(
        "run", "--job-name", job, "-q", "--",
        str(SCRIPTS / "datlake"), "register-snapshot", "--table-name", made,
        "--uri", uri, "--format", "csv", "--wait",
    )  # fmt: skip
    (run,) = server.ask("GET", f"/jobs/{job}/runs")
    found = server.ask("GET", f"/runs/{run['run_id']}")

    assert [(made, done.lines()[0])] == [
        (one["table_name"], one["snapshot_id"]) for one in found["outputs"]
    ]
    told = typed("lineage", made, "--depth", "2", "--json").json()
    assert (made, "upstream", [], False) == tuple(
        told[one] for one in ("table_name", "direction", "edges", "is_cut")
    )
    assert "downstream" == typed("lineage", made, "--downstream", "--json").json()["direction"]


# --- registering


def test_a_registration_is_a_job_that_can_be_looked_at(server, table):
    uri = server.object(b"id\n1\n")

    (job,) = typed(
        "register-snapshot", "--table-name", table, "--uri", uri, "--format", "csv"
    ).lines()

    found = typed("job", job, "--wait", "--json").json()
    assert ("completed", job) == (found["status"], found["job_id"])
    assert [found["snapshot_id"]] == [
        one["snapshot_id"] for one in typed("snapshots", table, "--json").json()
    ]
    facts = dict(line.split("\t") for line in typed("job", job).lines())
    assert ("completed", found["snapshot_id"]) == (facts["status"], facts["snapshot_id"])


def test_one_that_is_waited_for_prints_its_snapshot(server, table, tmp_path):
    schema = {"fields": [{"name": "id", "type": "int64", "nullable": True}]}
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(schema))
    parent = "none"
    for told in (json.dumps(schema), str(file)):
        (parent,) = typed(
            "register-snapshot", "--table-name", table, "--uri", server.object(b"id\n1\n"),
            "--schema", told, "--expected-parent", parent,
            "--wait", "--timeout", "60",
        ).lines()  # fmt: skip

        latest = typed("get-uri", table, "--json").json()
        assert (parent, ["id"]) == (
            latest["snapshot_id"],
            [one["name"] for one in latest["schema"]["fields"]],
        )


@pytest.mark.parametrize("ending", [".jsonl", ".ndjson"])
def test_the_format_is_what_the_ending_of_the_uri_says(server, table, ending):
    uri = server.object(b'{"id": 1}\n', uuid.uuid4().hex + ending)

    typed("register-snapshot", "--table-name", table, "--uri", uri, "--wait").lines()

    assert "jsonl" == typed("get-uri", table, "--json").json()["format"]


@pytest.mark.parametrize("schema", ["[1]", "{", "/none", '{"fields": 1'])
def test_a_schema_that_is_none_is_refused_before_anything_is_asked(table, schema):
    done = typed(
        "register-snapshot", "--table-name", table, "--uri", "file:///x", "--schema", schema,
        DATLAKE_API_URL="http://127.0.0.1:9",
    )  # fmt: skip

    assert (2, "") == (done.code, done.stdout)
    assert "'--schema'" in done.stderr


@pytest.mark.parametrize(
    ("given", "code", "told"),
    [
        (["--uri", "{objects}/none.csv", "--format", "csv"], 3, "uri_not_found"),
        (["--uri", "file:///elsewhere/x.csv", "--format", "csv"], 4, "forbidden"),
        (["--uri", "{csv}", "--format", "parquet"], 7, "not_parquet"),
        (
            ["--uri", "{csv}", "--format", "csv", "--expected-parent", "snap-" + 32 * "0"],
            5,
            "parent_conflict",
        ),
    ],
)
def test_how_a_registration_fails_is_told_by_the_exit_code(server, table, given, code, told):
    names = {"{objects}": server.objects.as_uri(), "{csv}": server.object(b"id\n1\n")}
    for name, value in names.items():
        given = [one.replace(name, value) for one in given]

    done = typed("register-snapshot", "--table-name", table, *given, "--wait", "--json")

    assert (code, "") == (done.code, done.stdout), done
    assert told == json.loads(done.stderr)["error"]["code"]


# --- objects


def test_a_file_is_put_there_and_comes_back(tmp_path):
    file, name = tmp_path / "new.csv", f"in/{uuid.uuid4().hex}.csv"
    file.write_text("id\n1\n")

    (uri,) = typed("upload", str(file), name).lines()
    copy = tmp_path / "copy.csv"
    assert [str(copy)] == typed("download", name, str(copy)).lines()

    assert uri.endswith(f"/{name}")
    assert b"id\n1\n" == copy.read_bytes()
    again = typed("upload", str(file), name, "--new", "--json")
    assert (5, "") == (again.code, again.stdout)


def test_a_file_that_is_not_there_is_not_put(tmp_path):
    done = typed("upload", str(tmp_path / "none"), "x")

    assert 2 == done.code
    assert str(tmp_path / "none") in done.stderr


def test_an_object_that_is_not_there_leaves_no_file(tmp_path):
    done = typed("download", uuid.uuid4().hex, str(tmp_path / "copy"))

    assert 3 == done.code
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("file", [".", "none/copy"])
def test_a_file_that_cannot_be_written_is_told(server, tmp_path, file):
    name = f"{uuid.uuid4().hex}.csv"
    server.object(b"id\n1\n", name)

    done = typed("download", name, str(tmp_path / file))

    assert (2, "", True) == (done.code, done.stdout, "cannot be written" in done.stderr), done
    assert [] == list(tmp_path.iterdir())


# --- events


def test_events_are_followed_as_lines_of_json(server, table):
    latest = server.ask("POST", "/events/broadcast", {"event_type": "x", "data": {}})["seq"]
    made = server.registered(table, server.object(b"id\n1\n"), "csv")

    done = typed(
        "events", "--type", "snapshot.committed", "--table", table,
        "--since", str(latest), "--limit", "1", "--json",
    )  # fmt: skip

    (line,) = map(json.loads, done.lines())
    assert (table, "snapshot.committed") == (line["table_name"], line["type"])
    assert made in line["data"].values()
    plain = typed("events", "--table", table, "--since", str(latest), "--limit", "1").lines()
    assert [str(line["seq"]), line["created_at"], line["type"], table] == plain[0].split("\t")[:4]


def test_what_a_terminal_would_obey_is_spelled_out_in_events(proxy):
    event = {"seq": 1, "type": "custom.\x1b[2J", "data": {"x": "\x1b[2J"}}
    event |= {
        "created_at": "2026-01-01T00:00:00Z",
        "table_name": "t\x1b]0;x\x07",
        "run_id": "r\t\n",
    }
    told = f"id: 1\ndata: {json.dumps(event)}\n\n".encode()
    reply = Reply(200, told, {"Content-Type": "text/event-stream"})
    proxy.hook = lambda _: Script(reply=reply)

    done = typed("events", "--limit", "1", DATLAKE_API_URL=proxy.endpoint)

    (line,) = done.lines()
    assert ("\x1b" not in line, 6) == (True, line.count("\t"))
    assert r"custom.\x1b[2J" in line


# --- what is kept of it


@pytest.fixture
def kept(server, tmp_path, monkeypatch):
    """A cache of metadata with a snapshot of each of two tables."""
    monkeypatch.setenv("DATLAKE_CACHE_DIR", str(tmp_path / "cache"))
    cache = MetadataCache(tmp_path / "cache", server.base_url, server.admin_key)
    for number, name in enumerate(("one", "two")):
        snapshot_id, at = f"snap-{number:032}", datetime.now(UTC)
        cache.keep(Snapshot(f"default.{name}", snapshot_id, "file:///x", "csv", at, 1, 1))
    return cache


def test_what_is_kept_is_shown_and_removed(kept, tmp_path):
    rows = dict(line.split("\t") for line in typed("cache", "stats").lines())
    assert ("2", str(tmp_path / "cache")) == (rows["snapshots"], rows["dir"])
    assert 2 == typed("cache", "stats", "--json").json()["snapshots"]

    assert 1 < typed("cache", "clear", "one", "--json").json()["freed_bytes"]
    assert (0, 1) == (kept.held("one").snapshots, kept.held("two").snapshots)

    done = typed("cache", "clear")
    assert (0, "", "freed ") == (done.code, done.stdout, done.stderr[:6])
    assert 0 == kept.held().snapshots


def test_of_an_unknown_registry_only_everything_can_be_removed(kept):
    assert 2 == typed("cache", "clear", "one", DATLAKE_API_URL="").code
    assert 0 == typed("cache", "clear", DATLAKE_API_URL="").code


# --- who, and what cannot be


def test_who_one_is_to_the_registry(server):
    key = server.principal(("SELECT", "catalog"))

    found = typed("whoami", "--json", DATLAKE_API_KEY=key).json()
    facts = dict(line.split("\t") for line in typed("whoami", DATLAKE_API_KEY=key).lines())

    assert (key.split("_")[1], ["SELECT"]) == (found["key_id"], found["privileges"])
    assert (found["principal"], "SELECT") == (facts["principal"], facts["privileges"])


@pytest.mark.parametrize("program", ["datlake", "datalake-cli"])
@pytest.mark.parametrize(
    ("environ", "code", "told"),
    [
        ({"DATLAKE_API_URL": ""}, 2, "run '{program} config set'"),
        ({"DATLAKE_API_KEY": ""}, 2, "no key is known"),
        ({"DATLAKE_API_KEY": "dlk_wrong"}, 4, "'{program} config set api_key'"),
        ({"DATLAKE_API_URL": "http://127.0.0.1:9"}, 6, "'{program} config' shows which"),
        ({"DATLAKE_API_URL": "ftp://lake"}, 2, "DATLAKE_API_URL"),
        ({"DATLAKE_CONFIG": "/none/config.ini"}, 2, "/none/config.ini"),
        ({"DATLAKE_OFFLINE": "1", "DATLAKE_CACHE_DIR": "/none"}, 6, "offline"),
    ],
)
def test_what_cannot_be_asked_is_told(table, program, environ, code, told):
    done = typed("get-uri", table, program=program, **environ, DATLAKE_SDK_RETRY="max=0")

    assert (code, "") == (done.code, done.stdout), done
    assert told.format(program=program) in done.stderr


def test_a_table_that_one_may_not_see_is_refused(server, table):
    done = typed("get-uri", table, "--json", DATLAKE_API_KEY=server.principal())

    assert (4, "") == (done.code, done.stdout)
    assert "forbidden" == json.loads(done.stderr)["error"]["code"]
    assert 3 == typed("get-uri", table).code


def test_the_options_before_the_command_come_before_the_variables(server, tmp_path):
    file = tmp_path / "other.ini"
    file.write_text(f"[datlake]\napi_key = {server.admin_key}\n")
    named = ("--url", server.base_url, "--config", str(file))
    nothing = {"DATLAKE_API_KEY": "", "DATLAKE_API_URL": "http://127.0.0.1:9"}

    assert "admin" == typed(*named, "whoami", "--json", **nothing).json()["principal"]
    inner = typed(
        *named, "run", "-q", "--", str(SCRIPTS / "datlake"), "whoami", "--json", **nothing
    )
    assert "admin" == inner.json()["principal"]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--data-dir", "/x", "whoami"], "--data-dir is not for it"),
        (["--database-url", "sqlite:///x", "tables"], "--database-url is not for it"),
        (["--url", "http://x", "migrate"], "--url is not for it"),
        (["--config", "/x", "serve"], "--config is not for it"),
        (["whoami", "--url", "http://x"], "it stands before the command"),
        (["whomai"], "did you mean 'whoami'?"),
        (["xyzzy"], "'datlake --help' lists the commands"),
        (["run"], "no program is named"),
    ],
)
def test_what_does_not_fit_together_is_refused(args, told):
    done = typed(*args)

    assert (2, "", True) == (done.code, done.stdout, told in done.stderr), done


@pytest.mark.parametrize("program", ["datlake", "datalake-cli"])
def test_help_is_of_the_command_as_it_was_called(program):
    assert f"Usage: {program} [OPTIONS]" in typed("--help", program=program).stdout
    assert f"Usage: {program} get-uri [OPTIONS] TABLE" in (
        typed("get-uri", "-h", program=program).stdout
    )
    assert f"'{program} tables --help'" in typed("tables", "--x", program=program).stderr


@pytest.mark.parametrize(
    ("program", "variable"),
    [("datlake", "_DATLAKE_COMPLETE"), ("datalake-cli", "_DATALAKE_CLI_COMPLETE")],
)
def test_commands_and_tables_are_completed(program, variable, table, two):
    asked = {variable: "bash_complete", "COMP_CWORD": "1", "COMP_WORDS": f"{program} get-"}
    assert ["plain,get-uri"] == typed(program=program, **asked).lines()

    asked |= {"COMP_CWORD": "2", "COMP_WORDS": f"{program} get-uri {table[:8]}"}
    assert [f"plain,{table}"] == typed(program=program, **asked).lines()
    assert [""] == typed(program=program, **asked, DATLAKE_API_URL="http://127.0.0.1:9").lines()


def test_what_no_table_is_called_is_not_offered_to_a_shell(proxy, server):
    names = ("t_1", "t_$(touch /tmp/x)", "t_`x`", "t_\nplain,x", "t_;x")
    told = json.dumps([{"name": one, "latest_snapshot_id": None} for one in names]).encode()
    reply = Reply(200, told, {"Content-Type": "application/json"})
    proxy.hook = lambda _: Script(reply=reply)

    asked = {
        "COMP_CWORD": "2",
        "COMP_WORDS": "datlake get-uri t_",
        "DATLAKE_API_URL": proxy.endpoint,
    }
    assert ["plain,t_1"] == typed(**asked, _DATLAKE_COMPLETE="bash_complete").lines()


def test_they_need_no_library_of_the_server(table, two):
    """And none that takes long to load, but the one that asks."""
    script = (
        "import sys\n"
        "for one in ('fastapi', 'sqlalchemy', 'pydantic', 'uvicorn', 'alembic', 'boto3',"
        " 'pyarrow', 'duckdb'):\n"
        "    sys.modules[one] = None\n"
        f"sys.argv = ['datlake', 'get-uri', {table!r}]\n"
        "from datacachalog.cli.main import datlake\n"
        "try:\n"
        "    datlake()\n"
        "finally:\n"
        "    print('rich' in sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, env=os.environ
    )

    assert (0, "False\n") == (done.returncode, done.stderr)

"""What a client keeps of what a registry told it, with a real one that comes and goes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from datacachalog.adapters.api.metadata import Held
from datacachalog.domain.errors import (
    ApiConflictError,
    ApiOfflineError,
    ForbiddenError,
    NotFoundError,
    TransientError,
)
from datlake_sdk import DatlakeClient


@pytest.fixture
def client_of(tmp_path):
    """A client as a new process would have it: what it knows is what is in the cache."""

    def make(server, key=None, **settings):
        return DatlakeClient(
            server.base_url, key or server.admin_key, cache_dir=tmp_path / "cache", **settings
        )

    return make


def registered(server, table, text="1"):
    return server.registered(table, server.object(f"id\n{text}\n".encode()), "csv")


def test_a_snapshot_that_is_held_needs_no_registry(new_server, client_of):
    server = new_server()
    made = registered(server, "t")
    client = client_of(server, retry="max=0")
    found = client.get_latest_snapshot_uri("t")
    server.stop()

    assert made == found.snapshot_id
    assert found == client.get_snapshot("t", made) == client_of(server).get_snapshot("t", made)
    assert found == client.get_latest_snapshot_uri(f"t@{made}")
    assert found.uri == client.get_table_uri(f"t@{made}")
    with pytest.raises(TransientError):
        client.get_latest_snapshot_uri("t")
    assert found == client_of(server, offline=True).get_latest_snapshot_uri("t")
    with pytest.raises(ApiOfflineError):
        client_of(server, offline=True).get_latest_snapshot_uri("u")

    server.start()
    assert found == client.get_latest_snapshot_uri("t")


def test_the_registry_says_whether_the_latest_is_that_still(server, client_of, table, monkeypatch):
    first = registered(server, table)
    client = client_of(server)
    asked = []
    whole = client.transport.ask

    def heard(ask):
        answer = whole(ask)
        asked.append(answer.status)
        return answer

    monkeypatch.setattr(client.transport, "ask", heard)

    assert [first] * 3 == [client.get_latest_snapshot(table).snapshot_id for _ in range(3)]
    second = registered(server, table, "2")
    assert [second] * 2 == [client.get_latest_snapshot(table).snapshot_id for _ in range(2)]

    assert [200, 304, 304, 200, 304] == asked
    assert second == client.get_snapshot(table, second).snapshot_id
    assert 5 == len(asked)


def test_a_caller_sees_its_own_changes_however_long_the_latest_is_held(server, client_of, table):
    client = client_of(server, latest_ttl_s=3600)

    def register(text, **options):
        uri = server.object(f"id\n{text}\n".encode())
        return client.register_snapshot(table, uri, "csv", **options)

    def latest():
        return client.get_latest_snapshot_uri(table).snapshot_id

    first = register("1").snapshot_id
    assert first == latest()
    second = register("2").snapshot_id
    assert first != second == latest()
    client.roll_back(table, first)
    assert first == latest()
    job = register("3", wait=False)
    latest()
    assert client.wait_for_job(job.job_id).snapshot_id == latest()
    with pytest.raises(ApiConflictError):
        client.roll_back(table, second, expected_current=second)
    client.drop_table(table)
    with pytest.raises(NotFoundError):
        latest()
    with pytest.raises(NotFoundError):
        client.get_snapshot(table, first)
    client.undrop_table(table)
    assert job.snapshot_id != first == client.get_snapshot(table, first).snapshot_id


def test_what_is_asked_for_by_time_or_tag_is_kept_by_its_id(server, client_of, table):
    made = registered(server, table)
    client_of(server).set_tag(table, "good", made)
    before = datetime.now(UTC)
    registered(server, table, "2")

    by_tag = client_of(server).get_latest_snapshot(table, tag="good")
    by_time = client_of(server).get_latest_snapshot(table, as_of=before)

    assert made == by_tag.snapshot_id == by_time.snapshot_id
    assert by_tag == client_of(server, offline=True).get_snapshot(table, made)
    with pytest.raises(ApiOfflineError):
        client_of(server, offline=True).get_latest_snapshot(table, tag="good")


def test_who_may_no_more_has_nothing_left(server, client_of, table):
    made = registered(server, table)
    name = f"reader-{table}"
    key = server.principal(("SELECT", f"table:{table}"), name=name)
    reader, admin = client_of(server, key), client_of(server)
    assert made == reader.get_latest_snapshot_uri(table).snapshot_id
    admin.get_latest_snapshot_uri(table)
    (grant,) = server.ask("GET", f"/grants?to={name}")
    server.ask("DELETE", f"/grants/{grant['id']}")

    with pytest.raises(ForbiddenError):
        reader.get_latest_snapshot_uri(table)

    for ask in (reader.get_latest_snapshot_uri, lambda name: reader.get_snapshot(name, made)):
        with pytest.raises(ForbiddenError):
            ask(table)
    with pytest.raises(ApiOfflineError):
        client_of(server, key, offline=True).get_snapshot(table, made)
    assert made == client_of(server, offline=True).get_latest_snapshot_uri(table).snapshot_id


def test_what_is_held_is_told_and_cleared(server, client_of, table):
    registered(server, table)
    client = client_of(server)
    client.get_latest_snapshot_uri(table)

    held = client.cache.held(table)
    assert 1 == held.snapshots
    assert held == client.cache.held() == client.cache.clear(table)

    assert Held() == client.cache.held()
    with pytest.raises(ApiOfflineError):
        client_of(server, offline=True).get_latest_snapshot_uri(table)


def test_the_environment_says_where_and_for_how_long(configured, table, tmp_path, monkeypatch):
    monkeypatch.setenv("DATLAKE_CACHE_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("DATLAKE_LATEST_TTL_S", "3600")
    first = registered(configured, table)
    assert first == DatlakeClient().get_latest_snapshot_uri(table).snapshot_id
    registered(configured, table, "2")

    assert first == DatlakeClient().get_latest_snapshot_uri(table).snapshot_id
    assert list((tmp_path / "elsewhere" / "v1").iterdir())
    monkeypatch.setenv("DATLAKE_OFFLINE", "1")
    assert first == DatlakeClient().get_latest_snapshot_uri(table).snapshot_id


def test_a_fork_and_another_process_share_what_is_held(server, client_of, table, tmp_path):
    made = registered(server, table)
    client = client_of(server)
    client.get_latest_snapshot_uri(table)

    if (pid := os.fork()) == 0:
        is_right = client_of(server, offline=True).get_snapshot(table, made).snapshot_id == made
        is_right = is_right and client.get_latest_snapshot_uri(table).snapshot_id == made
        os._exit(0 if is_right else 1)
    assert 0 == os.waitpid(pid, 0)[1]

    program = "import sys, datlake_sdk as d; print(d.DatlakeClient().get_table_uri(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", program, table],
        env={
            **os.environ,
            "DATLAKE_API_URL": server.base_url,
            "DATLAKE_API_KEY": server.admin_key,
            "DATLAKE_CACHE_DIR": str(tmp_path / "cache"),
            "DATLAKE_OFFLINE": "1",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert client.get_table_uri(table) == done.stdout.strip()


def test_a_cache_that_cannot_be_fails_no_question(server, client_of, table, tmp_path, caplog):
    made = registered(server, table)
    (tmp_path / "cache").write_text("")
    client = client_of(server)

    for _ in range(2):
        assert made == client.get_latest_snapshot_uri(table).snapshot_id
        assert made == client.get_snapshot(table, made).snapshot_id

    assert 1 == caplog.text.count("metadata is not cached")
    assert ("DATLAKE_CACHE_DIR" in caplog.text, "catalog.yaml" in caplog.text) == (True, False)


def test_a_warm_snapshot_takes_no_request_and_200_microseconds(new_server, client_of):
    server = new_server()
    made = registered(server, "t")
    client = client_of(server)
    client.get_snapshot("t", made)
    server.stop()
    taken = []
    for _ in range(300):
        began = time.perf_counter()
        client.get_latest_snapshot_uri(f"t@{made}")
        taken.append(time.perf_counter() - began)

    assert sorted(taken)[30] < 200e-6  # of the quickest tenth: other programs run, too

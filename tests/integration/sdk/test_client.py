"""Every method of the client, each against a registry that is a process of its own."""

from __future__ import annotations

import inspect
import multiprocessing
import os
import pickle
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from datacachalog.adapters.api.transport import Ask
from datacachalog.domain.errors import (
    ApiConflictError,
    ApiOfflineError,
    AuthError,
    ForbiddenError,
    JobFailedError,
    NotFoundError,
    TransientError,
)
from datacachalog.sdk.records import Artifact, Edge
from datlake_sdk import DatlakeClient
from tests.servers.exchange import Reply, Script


@pytest.fixture
def made(client, server, table):
    """Three snapshots of `table`, the oldest first."""
    found = []
    for n in range(3):
        uri = server.object(f"id\n{n}\n".encode())
        job = client.register_snapshot(table, uri, format="csv")
        found.append(client.get_snapshot(table, job.snapshot_id))
    return found


def test_a_registration_becomes_the_latest_snapshot(client, server, table):
    uri = server.object(b"id\n1\n")
    job = client.register_snapshot(table, uri, "csv")
    found = client.get_latest_snapshot_uri(table)
    assert ("completed", True, found.snapshot_id) == (job.status, job.is_over, job.snapshot_id)
    assert uri == str(found) == found.uri == client.get_table_uri(table)
    assert uri == client.resolve_table_uri(table)
    assert (table, "csv", 1, None, 5) == (
        found.table_name,
        found.format,
        found.seq,
        found.parent_id,
        found.size_bytes,
    )
    assert [{"name": "id", "type": "int64", "nullable": True}] == found.schema["fields"]
    assert abs(datetime.now(UTC) - found.created_at) < timedelta(minutes=1)
    assert job.snapshot_id == client.get_job(job.job_id).snapshot_id


def test_one_that_is_not_waited_for_can_be_waited_for_later(client, server, table):
    job = client.register_snapshot(table, server.object(b"id\n1\n"), "csv", wait=False)
    assert client.wait_for_job(job.job_id, 30).snapshot_id
    assert client.get_job(job.job_id, wait_s=1).is_over
    with pytest.raises(ApiConflictError):
        client.cancel_job(job.job_id)


def test_one_that_is_not_done_in_time_goes_on(client, proxy, server, table):
    uri = server.object(b"id\n1\n")
    busy = Reply(200, b'{"job_id": "j", "status": "running"}', {"Content-Type": "application/json"})
    proxy.hook = lambda one: Script(reply=busy) if one.method == "GET" else None
    begun = time.monotonic()
    with pytest.raises(TransientError, match=r"running still after 0.3 s"):
        client.register_snapshot(table, uri, "csv", timeout_s=0.3)
    assert 0.3 < time.monotonic() - begun < 40
    assert len(proxy.requests) < 8
    proxy.hook = lambda _: None
    assert client.register_snapshot(table, uri, "csv").snapshot_id


def test_a_job_is_not_waited_for_longer_than_an_answer_may_take(client, proxy, server, table):
    quick = "max=9,base_ms=1"  # the machine may be slower than the client is patient
    asks = DatlakeClient(proxy.endpoint, server.admin_key, default_timeout_ms=1500, retry=quick)
    job = asks.register_snapshot(table, server.object(b"id\n1\n"), "csv")
    assert job.is_over
    with pytest.raises(NotFoundError):
        asks.get_job("job-x", wait_s=20)
    waits = [one.path for one in proxy.requests if "wait=" in one.path]
    assert not [path for path in waits if not path.endswith("wait=0")]


def test_the_same_key_again_is_the_same_job(client, server, table):
    uri, key = server.object(b"id\n1\n"), uuid.uuid4().hex
    jobs = [client.register_snapshot(table, uri, "csv", idempotency_key=key) for _ in range(2)]
    assert jobs[0].job_id == jobs[1].job_id


def test_an_object_that_cannot_be_a_snapshot_is_told_with_its_code(client, server, table):
    with pytest.raises(JobFailedError) as caught:
        client.register_snapshot(table, server.objects.joinpath("none.csv").as_uri(), "csv")
    assert "uri_not_found" == caught.value.code
    with pytest.raises(JobFailedError) as caught:
        client.register_snapshot(table, server.object(b"no parquet"))
    assert "not_parquet" == caught.value.code


def test_a_registration_that_was_to_follow_another_one_is_a_conflict(client, server, table, made):
    uri = server.object(b"id\n9\n")
    for wrong in ("none", made[0].snapshot_id):
        with pytest.raises(ApiConflictError) as caught:
            client.register_snapshot(table, uri, "csv", expected_parent=wrong)
        assert "parent_conflict" == caught.value.code
    right = made[-1].snapshot_id
    client.register_snapshot(table, uri, "csv", expected_parent=right)
    assert right == client.get_latest_snapshot(table).parent_id


def test_snapshots_by_time_tag_and_id(client, table, made):
    client.set_tag(table, "good", made[1].snapshot_id)
    assert made[1] == client.get_latest_snapshot(table, tag="good")
    assert made[0] == client.get_latest_snapshot(table, as_of=made[0].created_at)
    assert made[2] == client.get_latest_snapshot(table) == client.get_snapshot(table, "3")
    assert [3, 2, 1] == [one.seq for one in client.list_snapshots(table)]
    assert [("good", made[1].snapshot_id)] == [
        (one.name, one.snapshot_id) for one in client.list_tags(table)
    ]
    client.delete_tag(table, "good")
    with pytest.raises(NotFoundError):
        client.get_latest_snapshot(table, tag="good")
    with pytest.raises(ValueError, match="aware"):
        client.get_latest_snapshot(table, as_of=datetime(2026, 1, 1))  # noqa: DTZ001 - naive
    with pytest.raises(ValueError, match="not both"):
        client.get_latest_snapshot(table, as_of=made[0].created_at, tag="good")


def test_a_table_is_found_changed_dropped_and_brought_back(client, table, made):
    found = client.get_table(table)
    assert (made[-1].snapshot_id, "additive") == (found.latest_snapshot_id, found.schema_policy)
    changed = client.set_schema_policy(table, "strict", if_match=found.etag)
    assert "strict" == changed.schema_policy
    with pytest.raises(ApiConflictError):
        client.set_schema_policy(table, "none", if_match=found.etag)
    assert [table] == [one.name for one in client.get_tables(containing=table)]
    assert table in {one.name for one in client.get_tables(namespace="default")}
    client.drop_table(table)
    assert not client.get_tables(containing=table)
    with pytest.raises(NotFoundError):
        client.get_table(table)
    assert table == client.undrop_table(table).name


def test_a_table_goes_back_to_an_earlier_snapshot(client, table, made):
    first, last = made[0].snapshot_id, made[-1].snapshot_id
    with pytest.raises(ApiConflictError):
        client.roll_back(table, first, expected_current=first)
    assert first == client.roll_back(table, first, expected_current=last)
    assert made[0] == client.get_latest_snapshot_uri(table)


def test_a_run_has_what_it_read_wrote_and_left(client, server, table, made):
    job = f"job_{table}"
    run = client.start_run(
        job, {"a": 1}, inputs=[{"table_name": table, "snapshot_id": made[0].snapshot_id}]
    )
    assert ("running", {"a": 1}) == (run.status, run.metadata)
    client.heartbeat(job, run.run_id)
    target = f"{table}_out"
    done = client.register_snapshot(
        target, server.object(b"id\n1\n"), "csv", job_name=job, run_id=run.run_id
    )
    child = client.start_run(job, run_id=str(uuid.uuid4()), parent_run_id=run.run_id)
    log = Artifact("log", "s3://logs/run.log")
    ended = client.complete_run(
        job,
        run.run_id,
        "success",
        metadata={"b": 2},
        outputs=[{"uri": "s3://raw/x"}],
        artifacts=[log],
    )
    found = client.get_run(run.run_id)
    assert ("success", {"a": 1, "b": 2}, (log,)) == (found.status, found.metadata, found.artifacts)
    assert ended == found
    assert {"table_name": table, "snapshot_id": made[0].snapshot_id} in found.inputs
    assert {"table_name": target, "snapshot_id": done.snapshot_id} in found.outputs
    assert {"uri": "s3://raw/x"} in found.outputs
    assert found.finished_at > found.started_at
    assert [child.run_id, run.run_id] == [one.run_id for one in client.list_runs(job)]
    assert run.run_id == client.get_run(child.run_id).parent_run_id
    edge = Edge(table, target, job, run.run_id)
    assert (edge,) == client.get_lineage(target).edges
    assert (edge,) == client.get_lineage(table, "downstream", depth=1).edges


def test_a_run_that_is_over_is_ended_once(client, table):
    job, run_id = f"job_{table}", str(uuid.uuid4())
    assert client.start_run(job, run_id=run_id) == client.start_run(job, run_id=run_id)
    told = client.complete_run(job, run_id, "failed", error="no room")
    assert told == client.complete_run(job, run_id, "failed", error="no room")
    assert "no room" == told.error
    for ask in (
        lambda: client.complete_run(job, run_id, "success"),
        lambda: client.heartbeat(job, run_id),
    ):
        with pytest.raises(ApiConflictError):
            ask()
    with pytest.raises(NotFoundError):
        client.get_run(str(uuid.uuid4()))


def test_who_may_do_what(client, server, table, made):
    who, role = f"p_{table}", f"r_{table}"
    assert ("service", who) == (client.create_principal(who).kind, who)
    client.create_role(role)
    client.add_member(role, who)
    assert [who] == client.list_members(role)
    grant = client.grant("SELECT", f"table:{table}", f"role:{role}")
    assert [grant] == list(client.list_grants(to=f"role:{role}"))
    key = client.create_key("test", principal=who, privileges=["SELECT"])
    assert key.key not in repr(key)
    reader = DatlakeClient(server.base_url, key.key)
    me = reader.whoami()
    assert (who, (role,), ("SELECT",)) == (me.principal, me.roles, me.key_privileges)
    assert made[-1] == reader.get_latest_snapshot_uri(table)
    with pytest.raises(ForbiddenError):
        reader.drop_table(table)
    client.revoke_grant(grant.id)
    with pytest.raises(ForbiddenError):
        reader.get_latest_snapshot_uri(table)
    client.remove_member(role, who)
    assert not client.list_members(role)
    assert role == client.delete_role(role).name
    assert role not in {one.name for one in client.list_roles()}
    client.disable_principal(who)
    with pytest.raises(AuthError):
        reader.whoami()
    client.enable_principal(who)
    assert who == reader.whoami().principal
    client.revoke_key(key.id)
    assert [key.id] == [one.id for one in client.list_keys(principal=who) if one.revoked_at]
    client.delete_principal(who)
    named = {one.name: one.disabled_at for one in client.list_principals()}
    assert named.get(who, "erased") is not None
    actions = {one.action for one in client.audit(object=f"principal:{who}")}
    assert len(actions) >= 2
    assert not list(client.audit(until=datetime(2020, 1, 1, tzinfo=UTC)))


def test_locations_are_made_and_removed(client):
    uri = f"s3://{uuid.uuid4().hex}/a/"
    made = client.create_location(uri, region="eu-central-1", anonymous=True)
    assert (uri, "eu-central-1") == (made.uri, made.options["region"])
    assert uri in {one.uri for one in client.list_locations()}
    client.delete_location(made.id)
    assert uri not in {one.uri for one in client.list_locations()}


def test_every_method_is_tried_here_or_beside():
    tried = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    names = [
        name
        for name, _ in inspect.getmembers(DatlakeClient, inspect.isfunction)
        if not name.startswith("_")
    ]
    assert "get_tables" in names
    assert [] == [name for name in names if f".{name}(" not in tried and f".{name}\n" not in tried]


def test_lists_of_more_than_a_page_are_whole(client, proxy):
    job = f"job_{uuid.uuid4().hex[:8]}"
    runs = [client.start_run(job).run_id for _ in range(12)]

    found = client.transport.pages(_ask(f"/jobs/{job}/runs", limit=5))
    assert runs[::-1] == [one["run_id"] for one in found]
    assert [f"/api/v1/jobs/{job}/runs"] * 3 == [
        one.path.partition("?")[0] for one in proxy.requests[-3:]
    ]


def _ask(path, **query):
    return Ask("GET", path, query)


def test_a_page_is_asked_for_when_it_is_needed(client, proxy):
    job = f"job_{uuid.uuid4().hex[:8]}"
    for _ in range(4):
        client.start_run(job)
    proxy.reset()
    found = client.transport.pages(_ask(f"/jobs/{job}/runs", limit=2))
    next(found), next(found)
    assert 1 == len(proxy.requests)
    next(found)
    assert 2 == len(proxy.requests)


def test_a_client_can_be_pickled_and_tells_no_key(client, server):
    again = pickle.loads(pickle.dumps(client))  # noqa: S301 - our own
    assert client.settings == again.settings
    assert "admin" == again.whoami().principal
    assert server.admin_key not in f"{client!r} {client.settings!r} {again!r}"
    assert client.settings.api_url in repr(client)


def test_threads_share_a_client(client, proxy, caplog):
    proxy.hook = lambda _: Script(delay_s=0.01)
    with ThreadPoolExecutor(24) as pool:
        sent = list(pool.map(lambda n: client.publish("x", {"n": n}).seq, range(100)))
    assert 100 == len(set(sent))
    assert not [one for one in caplog.records if one.levelname == "WARNING"]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_while_others_ask_has_connections_of_its_own(client, proxy):
    stop = threading.Event()
    proxy.hook = lambda _: Script(delay_s=0.02)

    def ask():
        while not stop.is_set():
            assert "admin" == client.whoami().principal

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(4)]
        time.sleep(0.2)
        for _ in range(5):
            child = os.fork()
            if child == 0:
                found = b"-"
                try:
                    found = client.whoami().principal.encode()
                finally:
                    os._exit(0 if found == b"admin" else 1)
            assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        stop.set()
        for one in asking:
            one.result(60)


def _principal(client):
    return client.whoami().principal


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_are_given_a_client(client, method):
    client.whoami()
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert ["admin"] * 4 == pool.map(_principal, [client] * 4)


def test_offline_nobody_is_asked(proxy, server):
    asks = DatlakeClient(proxy.endpoint, server.admin_key, offline=True)
    for ask in (asks.whoami, asks.get_tables, lambda: asks.start_run("j")):
        with pytest.raises(ApiOfflineError):
            ask()
    assert not proxy.requests

"""Runs: started once, kept alive or lost, completed once, and seen by whoever may."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from datacachalog.server.identity.access import ObjectKind, Privilege
from datacachalog.server.identity.principals import now
from datacachalog.server.lineage.runs import mark_lost
from datacachalog.server.schema import audit, events, runs
from datacachalog.server.work.chores import do_chores
from datacachalog.testing.payloads import at_once
from tests.integration.registry.world import ended

RUNS = "/api/v1/jobs/daily_users/runs"
DONE = {"status": "success"}


@pytest.fixture
def started(registry):
    """Starts a run; its answer."""

    def start(client=None, job="daily_users", **asked):
        answer = (client or registry.admin).post(f"/api/v1/jobs/{job}/runs", json=asked)
        assert 201 == answer.status_code, answer.text
        return answer.json()

    return start


@pytest.fixture
def complete(registry):
    def put(run, client=None, **asked):
        path = f"/api/v1/jobs/{run['job_name']}/runs/{run['run_id']}/complete"
        return (client or registry.admin).put(path, json=DONE | asked)

    return put


@pytest.fixture
def beat(registry):
    def post(run, client=None):
        path = f"/api/v1/jobs/{run['job_name']}/runs/{run['run_id']}/heartbeat"
        return (client or registry.admin).post(path)

    return post


@pytest.fixture
def told(registry):
    """The types of events so far, with what they say."""

    def read(kind=""):
        query = select(events).where(events.c.type.startswith(kind)).order_by(events.c.seq)
        with registry.database.reading() as connection:
            return [(one.type, one.data) for one in connection.execute(query)]

    return read


@pytest.fixture
def silent(registry):
    """Has a run be late with its beat."""

    def be(run):
        change = update(runs).where(runs.c.id == run["run_id"])
        with registry.database.writing() as connection:
            connection.execute(change.values(due_at=now() - timedelta(seconds=1)))

    return be


def test_a_run_from_start_to_end(registry, started, complete):
    run = started(metadata={"source": "s3"}, inputs=[{"uri": "s3://lake/raw/users.csv"}])
    assert ("daily_users", "running", "admin") == (run["job_name"], run["status"], run["principal"])

    left = [{"type": "log", "uri": "s3://logs/jobs/daily_users/1/run.log"}]
    answer = complete(run, metadata={"rows": 3}, artifacts=left)

    assert 200 == answer.status_code
    found = registry.admin.get(f"/api/v1/runs/{run['run_id']}").json()
    assert found == answer.json()
    assert ("success", {"source": "s3", "rows": 3}) == (found["status"], found["metadata"])
    assert left == found["artifacts"]
    assert ["s3://lake/raw/users.csv"] == [one["uri"] for one in found["inputs"]]
    assert found["started_at"] < found["finished_at"]


def test_what_metadata_says_comes_back(registry, started):
    odd = {"": "\x01", "\x7f\n": ["\U0001f600", 1.5e300, -(1 << 63), None, True, {}]}

    assert odd == started(metadata=odd)["metadata"]


@pytest.mark.parametrize("odd", [{"a": "\0"}, {"\0": 1}, {"a": [1 << 63]}])
def test_what_a_database_cannot_hold_is_refused(registry, odd):
    assert 422 == registry.admin.post(RUNS, json={"metadata": odd}).status_code


def test_a_run_needs_no_body(registry):
    answer = registry.admin.post(RUNS)

    assert (201, {}) == (answer.status_code, answer.json()["metadata"])
    assert f"/api/v1/runs/{answer.json()['run_id']}" == answer.headers["location"]


def test_a_run_of_the_callers_id_is_started_once(registry):
    asked = {"run_id": str(uuid.uuid4()), "metadata": {"b": 1, "a": 2}}
    again = asked | {"metadata": {"a": 2, "b": 1}}

    answers = [registry.admin.post(RUNS, json=one) for one in (asked, again)]

    assert [201, 200] == [one.status_code for one in answers]
    assert answers[0].json() == answers[1].json()


def test_at_once_too(registry, told):
    asked = {"run_id": str(uuid.uuid4())}

    found = at_once(8, lambda _: registry.admin.post(RUNS, json=asked).status_code)

    assert [200] * 7 + [201] == sorted(found)
    assert [("run.started", {})] == told()


@pytest.mark.parametrize("other", [{"metadata": {"a": 1}}, {"heartbeat_interval_s": 9}])
def test_an_id_stands_for_one_run(registry, started, other):
    run = started(run_id="mine")

    answers = [
        registry.admin.post(RUNS, json={"run_id": "mine"} | other),
        registry.admin.post("/api/v1/jobs/other/runs", json={"run_id": "mine"}),
        registry.principal("ann").post(RUNS, json={"run_id": "mine"}),
    ]

    assert {(409, "run-exists")} == {(one.status_code, one.json()["code"]) for one in answers}
    assert run == registry.admin.get("/api/v1/runs/mine").json()


def test_a_run_is_completed_once(registry, started, complete, told):
    run = started()
    first = complete(run, status="failed", error="ValueError: no")

    again = complete(run, status="failed", error="ValueError: no")
    other = complete(run)

    assert (200, first.json()) == (again.status_code, again.json())
    assert (409, "run-completed") == (other.status_code, other.json()["code"])
    ended_once = ("run.completed", {"status": "failed", "was_lost": False})
    assert [("run.started", {}), ended_once] == told()


def test_what_a_run_left_may_be_told_of_after_its_end_with_the_same_end(
    registry, started, complete, told
):
    run = started()
    read, log = [{"uri": "s3://lake/raw.csv"}], {"type": "log", "uri": "s3://lake/run.log"}
    complete(run, metadata={"rows": 3}, inputs=read)

    late = complete(run, inputs=read, artifacts=[log])
    again = complete(run, artifacts=[log, log])
    others = [
        complete(run, status="failed", artifacts=[log]),
        complete(run, metadata={"rows": 4}, artifacts=[log]),
        complete(run, inputs=[{"uri": "s3://lake/other.csv"}], artifacts=[log]),
        complete(run, outputs=read, artifacts=[log]),
    ]

    assert (200, [log]) == (late.status_code, late.json()["artifacts"])
    assert late.json() == again.json() == registry.admin.get(f"/api/v1/runs/{run['run_id']}").json()
    assert [(409, "run-completed")] * 4 == [(one.status_code, one.json()["code"]) for one in others]
    assert ["run.started", "run.completed"] == [kind for kind, _ in told()]


def test_of_many_completions_at_once_one_wins(started, complete, told):
    run = started()

    found = at_once(8, lambda number: complete(run, metadata={"n": number}).status_code)

    assert [200] + [409] * 7 == sorted(found)
    assert 1 == len(told("run.completed"))


def test_a_run_is_of_its_job(registry, started, complete):
    run = started()

    assert 404 == complete(run | {"job_name": "other"}).status_code
    assert 404 == complete(run | {"run_id": "other"}).status_code


def test_a_child_knows_its_parent(registry, started):
    parent = started()

    child = started(job="step", parent_run_id=parent["run_id"])

    assert parent["run_id"] == child["parent_run_id"]
    asked = {"parent_run_id": parent["run_id"]}
    assert 404 == registry.principal("ann").post(RUNS, json=asked).status_code


def test_runs_are_listed_from_the_newest(registry, started):
    ids = [started(metadata={"n": number})["run_id"] for number in range(5)]
    started(job="other")

    found, path = [], f"{RUNS}?limit=2"
    while path:
        answer = registry.admin.get(path)
        found += [one["run_id"] for one in answer.json()]
        path = answer.links.get("next", {}).get("url")

    assert ids[::-1] == found
    assert [] == registry.admin.get("/api/v1/jobs/none/runs").json()


def test_runs_are_their_principals(registry, started, complete, beat):
    ann, bob = registry.principal("ann"), registry.principal("bob")
    run = started(ann)
    path = f"/api/v1/runs/{run['run_id']}"

    refused = [bob.get(path), complete(run, bob), beat(run, bob)]

    assert {404} == {one.status_code for one in refused}
    unknown = bob.get("/api/v1/runs/none").json()
    assert refused[0].json()["detail"] == unknown["detail"].replace("none", run["run_id"])
    assert [] == bob.get(RUNS).json()
    for client in (ann, registry.admin):
        assert [run["run_id"]] == [one["run_id"] for one in client.get(RUNS).json()]
        assert 200 == client.get(path).status_code


BAD = [
    {"metadata": {"n": float("nan")}},
    {"metadata": {"n": "\ud800"}},
    {"metadata": {"\ud800": 1}},
    {"metadata": {"n": "x" * 70_000}},
    {"metadata": {"n": [[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]}},
    {"metadata": []},
    {"run_id": "../x"},
    {"run_id": "a" * 65},
    {"run_id": "a\0"},
    {"heartbeat_interval_s": 0},
    {"heartbeat_interval_s": 1 << 70},
    {"inputs": [{}]},
    {"inputs": [{"table_name": "t", "uri": "s3://b/x"}]},
    {"inputs": [{"uri": "s3://b/x", "snapshot_id": "snap-1"}]},
    {"inputs": [{"uri": "https://user:secret@host/x"}]},
    {"inputs": [{"uri": "https://host/x?X-Amz-Signature=secret"}]},
    {"inputs": [{"uri": "no uri"}]},
    {"inputs": [{"table_name": "a b"}]},
    {"inputs": [{"uri": "s3://b/x"}] * 201},
    {"nothing": 1},
    {"\ud800": 1},
]


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_what_cannot_be_is_refused(registry):
    for asked in BAD:
        body, kind = json.dumps(asked).encode(), {"Content-Type": "application/json"}

        answer = registry.admin.post(RUNS, content=body, headers=kind)

        assert (422, "invalid") == (answer.status_code, answer.json()["code"]), asked
    assert [] == registry.admin.get(RUNS).json()


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_bodies_that_break_parsers_are_refused(registry):
    kind = {"Content-Type": "application/json"}
    for value in (b"9" * 5000, b"[" * 200_000, b"1e999", b'"\\ud800"', b"\xff"):
        body = b'{"metadata": {"n": ' + value + b"}}"

        answer = registry.admin.post(RUNS, content=body, headers=kind)

        assert answer.status_code in {400, 422}, value[:9]
        assert "application/problem+json" == answer.headers["content-type"]


def test_names_that_are_paths_of_other_things_are_refused(registry):
    for name in ("register-snapshot", f"job-{uuid.uuid4().hex}", "..", "a%00", "a%2Fb", "x" * 201):
        answer = registry.admin.post(f"/api/v1/jobs/{name}/runs")

        assert answer.status_code in {404, 405, 422}, name
    assert 422 == registry.admin.get("/api/v1/runs/a%00").status_code
    for cursor in ("x", "MQ", "LTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OS94", "MC8A"):
        assert registry.admin.get(f"{RUNS}?cursor={cursor}").status_code in {200, 422}


class TestHeartbeats:
    def test_one_that_stops_is_lost(self, registry, worker, started, beat, silent, told):
        worker.stop()  # or its chores may find it first
        run = started()
        due = beat(run).json()["due_at"]
        silent(run)

        assert 1 == mark_lost(registry.database)

        found = registry.admin.get(f"/api/v1/runs/{run['run_id']}").json()
        assert ("lost", True) == (found["status"], found["lost_at"] is not None)
        assert found["beat_at"] < due
        assert [("run.started", {}), ("run.lost", {})] == told()

    def test_the_workers_do_it(self, registry, started, silent):
        run = started(heartbeat_interval_s=1)
        silent(run)
        deadline = now() + timedelta(seconds=60)

        while "lost" != registry.admin.get(f"/api/v1/runs/{run['run_id']}").json()["status"]:
            assert now() < deadline

    def test_one_that_never_beats_is_not_lost(self, registry, started):
        started()
        started(heartbeat_interval_s=100)

        assert 0 == mark_lost(registry.database)

    def test_of_many_that_look_one_finds_it(self, registry, started, silent, told):
        for _ in range(5):
            run = started(heartbeat_interval_s=1)
            silent(run)

        at_once(6, lambda _: do_chores(registry.database))

        assert 5 == len(told("run.lost"))

    def test_it_may_come_back(self, registry, started, beat, silent, told):
        run = started(heartbeat_interval_s=60)
        silent(run)
        mark_lost(registry.database)

        assert "running" == beat(run).json()["status"]

        found = registry.admin.get(f"/api/v1/runs/{run['run_id']}").json()
        assert ("running", None) == (found["status"], found["lost_at"])
        assert ["run.started", "run.lost", "run.resumed"] == [kind for kind, _ in told()]

    def test_it_may_still_be_completed_and_that_is_told(
        self, registry, started, complete, silent, told
    ):
        run = started(heartbeat_interval_s=1)
        silent(run)
        mark_lost(registry.database)

        found = complete(run)

        assert (200, "success") == (found.status_code, found.json()["status"])
        assert found.json()["lost_at"] is not None
        assert ("run.completed", {"status": "success", "was_lost": True}) == told()[-1]
        assert 0 == mark_lost(registry.database)

    def test_one_that_has_ended_beats_no_more(self, registry, started, complete, beat):
        run = started()
        complete(run)

        answer = beat(run)

        assert (409, "run-completed") == (answer.status_code, answer.json()["code"])

    def test_a_beat_is_no_line_in_the_audit(self, registry, started, beat):
        beat(started())

        with registry.database.reading() as connection:
            lines = connection.execute(select(audit.c.action)).scalars().all()
        assert ["start-run"] == lines


class TestData:
    @pytest.fixture
    def users(self, registry):
        """A table; its snapshot."""
        return registry.registered("users", registry.parquet("u.parquet"))["result"]["snapshot_id"]

    def test_a_snapshot_is_its_runs_output(self, registry, users, started, told):
        run = started(inputs=[{"table_name": "users", "snapshot_id": users}])
        asked = {
            "table_name": "curated",
            "uri": registry.parquet("c.parquet"),
            "format": "parquet",
            "job_name": "daily_users",
            "run_id": run["run_id"],
        }
        register = "/api/v1/jobs/register-snapshot"

        for _ in range(2):  # the same object again is the same snapshot, and the same output
            answer = registry.admin.post(register, json=asked)
            job = ended(registry.admin, answer.headers["location"])

        made = job["result"]["snapshot_id"]
        found = registry.admin.get(f"/api/v1/runs/{run['run_id']}").json()
        assert [dataset("curated", made)] == found["outputs"]
        assert [dataset("users", users)] == found["inputs"]
        kind, data = told()[-1]
        assert ("snapshot.committed", made) == (kind, data["snapshot_id"])

    def test_a_run_that_is_not_there_is_refused(self, registry, users, started, complete):
        over = started()
        complete(over)
        asked = {"table_name": "t", "uri": registry.parquet("c.parquet"), "format": "parquet"}
        cases = [
            ({"job_name": "daily_users"}, 422),
            ({"run_id": "none"}, 404),
            ({"run_id": started()["run_id"], "job_name": "other"}, 404),
            ({"run_id": started(registry.principal("ann"))["run_id"]}, 202),  # an administrator
            ({"run_id": over["run_id"]}, 409),
        ]

        for more, status in cases:
            answer = registry.admin.post("/api/v1/jobs/register-snapshot", json=asked | more)

            assert status == answer.status_code, answer.text

    def test_what_may_not_be_read_is_no_input(self, registry, users, started, complete):
        ann = registry.principal("ann", (Privilege.SELECT, ObjectKind.CATALOG, ""))
        bob = registry.principal("bob")
        mine = [{"table_name": "users"}]

        assert 403 == bob.post(RUNS, json={"inputs": mine}).status_code
        run = started(ann, inputs=mine)
        assert 403 == complete(run, ann, outputs=mine).status_code
        other = [{"table_name": "users", "snapshot_id": "snap-1"}]
        assert 422 == complete(run, ann, inputs=other).status_code
        assert 422 == complete(run, ann, inputs=[{"table_name": "none"}]).status_code
        assert "running" == ann.get(f"/api/v1/runs/{run['run_id']}").json()["status"]

    def test_what_the_reader_may_not_select_is_not_shown(self, registry, users, started, complete):
        writer = registry.principal("ann", (Privilege.UPDATE, ObjectKind.CATALOG, ""))
        run = started(writer)
        done = complete(run, writer, outputs=[{"table_name": "users"}, {"uri": "s3://lake/x"}])

        shown = registry.admin.get(f"/api/v1/runs/{run['run_id']}").json()["outputs"]

        assert [{"uri": "s3://lake/x"}] == done.json()["outputs"]
        assert dataset("users", None) in shown
        assert 2 == len(shown)

    def test_many_at_once_do_not_wait_for_each_other_for_ever(
        self, registry, users, started, beat, complete, told
    ):
        """Rows are locked in one order, with the counter of events last."""
        uris = [registry.parquet(f"{number}.parquet") for number in range(12)]
        outputs = [dataset("users", users)]

        def act(number):
            run = started(heartbeat_interval_s=60)
            ours = {"run_id": run["run_id"], "table_name": "users"}
            asked = ours | {"uri": uris[number], "format": "parquet"}
            answers = [
                registry.admin.post("/api/v1/jobs/register-snapshot", json=asked),
                beat(run),
                registry.admin.post("/api/v1/events/broadcast", json=ours | {"event_type": "m"}),
                complete(run, outputs=outputs),
            ]
            assert {200, 201, 202} == {one.status_code for one in answers}
            return ended(registry.admin, answers[0].headers["location"])

        jobs = at_once(len(uris), act)

        assert {("completed", 1)} == {(one["status"], one["attempts"]) for one in jobs}
        seqs = [data["seq"] for _, data in told("snapshot.committed")]
        assert list(range(1, 2 + len(uris))) == seqs


def dataset(table, snapshot):
    return {"table_name": table, "snapshot_id": snapshot}

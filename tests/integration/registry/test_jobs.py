"""Registrations are waited for, cancelled, and held to what their caller has seen."""

from __future__ import annotations

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select, update

from datacachalog.server.app import create_app
from datacachalog.server.identity.access import ObjectKind, Privilege
from datacachalog.server.identity.principals import create_key, first_admin, now
from datacachalog.server.schema import api_keys, principals, tables
from datacachalog.server.schema import tasks as tasks_table
from datacachalog.server.work import inspecting, tasks
from datacachalog.server.work.registering import Registrar
from datacachalog.server.work.worker import Worker
from datacachalog.testing.payloads import at_once
from tests.integration.registry.world import Registry, job_of

JOBS = "/api/v1/jobs"
REGISTER = f"{JOBS}/register-snapshot"
T = "/api/v1/tables/t"


@pytest.fixture
def idle(database, settings):
    """A registry whose worker comes later, if at all."""
    with database.writing() as connection:
        key = first_admin(connection)
    made = Registry(create_app(database, None), database, None, settings.data_dir / "objects")  # type: ignore[arg-type]
    made.admin = made.client(str(key))
    return made


@pytest.fixture
def queued(idle):
    """The id of a registration of table `t` that nobody does yet."""
    return idle.admin.post(REGISTER, json=asked_of(idle, "1.parquet")).json()["job_id"]


def asked_of(registry, file, **more):
    return {"table_name": "t", "uri": registry.parquet(file), "format": "parquet", **more}


def worked(database, job_id):
    """What becomes of a job when there is a worker."""
    worker = Worker(database, Registrar(database, os.environ))
    worker.start()
    try:
        return job_of(database, job_id)
    finally:
        worker.stop()


class TestCancelled:
    def test_one_that_waits_is_never_done(self, idle, database, queued):
        answer = idle.admin.post(f"{JOBS}/{queued}/cancel")

        assert (200, "cancelled") == (answer.status_code, answer.json()["status"])
        with database.reading() as connection:
            assert not tasks.is_any_due(connection)
        assert "cancelled" == worked(database, queued)["status"]
        assert 404 == idle.admin.get(T).status_code

    def test_again_changes_nothing(self, idle, queued):
        first, second = (idle.admin.post(f"{JOBS}/{queued}/cancel") for _ in range(2))

        assert (200, first.json()) == (second.status_code, second.json())

    def test_one_that_is_being_done_commits_nothing(self, idle, database, queued):
        """The worker has looked at the object already, and comes to commit."""
        registrar = Registrar(database, os.environ)
        with database.writing() as connection:
            task = tasks.claim(connection)
        assert task is not None
        assert "running" == idle.admin.get(f"{JOBS}/{queued}").json()["status"]

        assert 200 == idle.admin.post(f"{JOBS}/{queued}/cancel").status_code
        registrar.work(task)

        assert "cancelled" == idle.admin.get(f"{JOBS}/{queued}").json()["status"]
        assert 404 == idle.admin.get(T).status_code
        with database.writing() as connection:
            assert not tasks.renew(connection, task)

    def test_one_whose_key_is_revoked_meanwhile_commits_nothing(self, idle, database, queued):
        """The worker has looked at the object, and waits for the database."""
        registrar = Registrar(database, os.environ)
        with database.writing() as connection:
            task = tasks.claim(connection)
        assert task is not None
        work = threading.Thread(target=registrar.work, args=(task,))

        with database.writing() as connection:
            database.hold(connection, (idle.objects / "1.parquet").as_uri())
            work.start()
            time.sleep(0.5)  # it looks
            connection.execute(update(api_keys).values(revoked_at=now()))
        work.join()

        with database.reading() as connection:
            row = connection.execute(select(tasks_table)).one()
            assert ("failed", "forbidden") == (row.status, row.error_code)
            assert [] == connection.execute(select(tables)).all()

    def test_one_that_has_ended_is_not(self, registry):
        job = registry.job(asked_of(registry, "1.parquet"))

        answer = registry.admin.post(f"{JOBS}/{job['job_id']}/cancel")

        assert (409, "job_ended") == (answer.status_code, answer.json()["code"])
        assert "completed" == registry.admin.get(f"{JOBS}/{job['job_id']}").json()["status"]

    def test_at_any_moment_it_is_either_done_or_cancelled(self, registry):
        """Cancelling races with the worker: what is answered is what is there."""
        for number in range(12):
            asked = asked_of(registry, f"{number}.parquet", table_name=f"t{number}")
            job_id = registry.admin.post(REGISTER, json=asked).json()["job_id"]
            time.sleep(number * 0.003)

            answer = registry.admin.post(f"{JOBS}/{job_id}/cancel")

            job = registry.admin.get(f"{JOBS}/{job_id}?wait=20").json()
            there = registry.admin.get(f"/api/v1/tables/t{number}").status_code
            expected = {200: ("cancelled", 404), 409: ("completed", 200)}
            assert expected[answer.status_code] == (job["status"], there)

    def test_only_its_caller_and_administrators_do(self, idle, database, queued):
        other = idle.principal("o", (Privilege.UPDATE, ObjectKind.CATALOG, ""))
        with database.writing() as connection:
            admin = connection.execute(
                principals.select().where(principals.c.name == "admin")
            ).one()
            only = [Privilege.SELECT]
            reading = idle.client(create_key(connection, admin.id, "r", privileges=only))

        assert 404 == other.post(f"{JOBS}/{queued}/cancel").status_code
        assert 403 == reading.post(f"{JOBS}/{queued}/cancel").status_code
        assert "queued" == idle.admin.get(f"{JOBS}/{queued}").json()["status"]

    @pytest.mark.parametrize("job_id", ["job-1", "job-" + "0" * 32, "x" * 500])
    def test_what_is_no_job_is_not_found(self, idle, job_id):
        assert 404 == idle.admin.get(f"{JOBS}/{job_id}").status_code
        assert 404 == idle.admin.post(f"{JOBS}/{job_id}/cancel").status_code

    def test_what_cannot_be_an_id_is_refused(self, idle):
        assert 422 == idle.admin.get(f"{JOBS}/a%00b").status_code
        assert 422 == idle.admin.post(f"{JOBS}/a%00b/cancel").status_code


class TestWaitedFor:
    def test_it_is_told_as_soon_as_it_has_ended(self, idle, database, queued):
        with ThreadPoolExecutor() as pool:
            before = time.monotonic()
            told = pool.submit(idle.admin.get, f"{JOBS}/{queued}?wait=30")
            time.sleep(0.3)
            assert not told.done()
            worked(database, queued)

            assert "completed" == told.result(60).json()["status"]
            assert time.monotonic() - before < 30  # the whole time

    def test_it_is_told_as_it_is_when_the_time_is_over(self, idle, queued):
        before = time.monotonic()

        answer = idle.admin.get(f"{JOBS}/{queued}?wait=1")

        assert (200, "queued") == (answer.status_code, answer.json()["status"])
        assert 1 <= time.monotonic() - before < 25

    @pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
    def test_those_who_wait_keep_nobody_else_from_being_served(self, idle, queued):
        """Of the 40 threads of the server none is taken by 60 who wait."""
        with idle.admin as client, ThreadPoolExecutor(60) as pool:
            ready = threading.Barrier(61)

            def wait():
                ready.wait(60)
                return client.get(f"{JOBS}/{queued}?wait=30").json()["status"]

            waiting = [pool.submit(wait) for _ in range(60)]
            ready.wait(60)
            time.sleep(1)
            assert 200 == client.get("/api/v1/tables").status_code
            assert not any(one.done() for one in waiting)
            assert 200 == client.post(f"{JOBS}/{queued}/cancel").status_code

            assert {"cancelled"} == {one.result(60) for one in waiting}

    def test_who_has_lost_the_key_meanwhile_is_told_no_more(self, idle, database, queued):
        with ThreadPoolExecutor() as pool:
            told = pool.submit(idle.admin.get, f"{JOBS}/{queued}?wait=30")
            time.sleep(0.3)
            with database.writing() as connection:
                connection.execute(update(api_keys).values(revoked_at=now()))

            assert 401 == told.result(29).status_code  # before the whole time is over

    @pytest.mark.parametrize("wait", ["-1", "31", "nan", "1e9", "", "x"])
    def test_what_is_no_time_to_wait_is_refused(self, idle, queued, wait):
        assert 422 == idle.admin.get(f"{JOBS}/{queued}?wait={wait}").status_code


class TestSeen:
    """`If-Match` holds from the request to the commit."""

    @pytest.fixture
    def seen(self, registry):
        registry.job(asked_of(registry, "1.parquet"))
        return {"If-Match": registry.admin.get(f"{T}/snapshots/latest").headers["etag"]}

    def test_what_was_seen_is_followed(self, registry, seen):
        assert "completed" == registry.job(asked_of(registry, "2.parquet"), seen)["status"]

    def test_what_has_changed_is_not(self, registry, seen):
        registry.job(asked_of(registry, "2.parquet"))

        answer = registry.admin.post(REGISTER, json=asked_of(registry, "3.parquet"), headers=seen)

        assert (412, "precondition-failed") == (answer.status_code, answer.json()["code"])

    def test_there_is_none_to_match_of_what_is_not_there(self, registry):
        headers = {"If-Match": "*"}

        answer = registry.admin.post(
            REGISTER, json=asked_of(registry, "1.parquet"), headers=headers
        )

        assert 412 == answer.status_code

    @pytest.mark.parametrize("tag", ["*", None])
    def test_what_changes_until_the_commit_is_not(self, idle, database, queued, tag):
        assert "completed" == worked(database, queued)["status"]
        seen = tag or idle.admin.get(T).headers["etag"]
        asked = asked_of(idle, "2.parquet")
        job = idle.admin.post(REGISTER, json=asked, headers={"If-Match": seen}).json()["job_id"]
        idle.admin.delete(T)

        ended = worked(database, job)

        assert ("failed", "precondition_failed") == (ended["status"], ended["error_code"])
        assert 404 == idle.admin.get(T).status_code

    def test_of_many_that_have_seen_the_same_one_is_done(self, registry, seen):
        bodies = [asked_of(registry, f"{number}.parquet") for number in range(2, 8)]

        def register(number):
            answer = registry.admin.post(REGISTER, json=bodies[number], headers=seen)
            if answer.status_code == 412:
                return "precondition_failed"
            job = registry.admin.get(f"{answer.headers['location']}?wait=30").json()
            return job["error_code"] or job["status"]

        assert ["completed", *["precondition_failed"] * 5] == sorted(at_once(6, register))


def test_who_may_only_update_makes_no_new_table_where_it_is_dropped_meanwhile(
    idle, database, queued
):
    assert "completed" == worked(database, queued)["status"]
    places = [(Privilege.INSERT, ObjectKind.LOCATION, one) for one in idle.location_ids()]
    update_it = (Privilege.UPDATE, ObjectKind.TABLE, idle.table_id("t"))
    writer = idle.principal("w", update_it, *places)
    job = writer.post(REGISTER, json=asked_of(idle, "2.parquet")).json()["job_id"]

    def inspect(*args):  # it is dropped when the worker has looked at the privilege already
        assert 200 == idle.admin.delete(T).status_code
        return inspecting.inspect(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("datacachalog.server.work.registering.inspect", inspect)
        ended = worked(database, job)

    assert ("failed", "forbidden") == (ended["status"], ended["error_code"])
    assert 404 == idle.admin.get(T).status_code


class TestSchema:
    COLUMNS = {"fields": [{"name": "id", "type": "int64", "nullable": True}]}  # noqa: RUF012 - nobody changes it

    def test_one_that_is_given_is_the_one_that_is_told(self, registry):
        job = registry.job(asked_of(registry, "1.parquet", schema=self.COLUMNS))

        assert "completed" == job["status"], job
        assert self.COLUMNS == registry.admin.get(f"{T}/snapshots/latest").json()["schema"]
        again = registry.job(asked_of(registry, "1.parquet", schema=self.COLUMNS))
        assert "completed" == again["status"]

    def test_one_that_is_not_that_of_the_object_is_refused(self, registry):
        wrong = {"fields": [{"name": "id", "type": "string"}]}

        job = registry.job(asked_of(registry, "1.parquet", schema=wrong))

        assert ("failed", "schema_mismatch") == (job["status"], job["error_code"])

    def test_one_of_a_format_that_nobody_reads_is_believed(self, registry):
        (registry.objects / "x").write_bytes(b"\0")
        asked = {"table_name": "t", "uri": (registry.objects / "x").as_uri(), "format": "odd"}

        assert "completed" == registry.job({**asked, "schema": self.COLUMNS})["status"]

        assert self.COLUMNS == registry.admin.get(f"{T}/snapshots/latest").json()["schema"]

    def test_what_is_none_is_refused(self, registry):
        asked = asked_of(registry, "1.parquet")
        wrong: dict[str, Any]
        for wrong in (
            {"schema": []},
            {"schema": {}},
            {"schema": {"fields": [{"name": "id"}]}},
            {"schema": {"fields": [{"name": "\ud800", "type": "x"}]}},
            {"schema": {"fields": [{"name": "id", "type": "x", "more": 1}]}},
            {"format": ""},
            {"format": "a" * 33},
            {"format": "par\0quet"},
            {"expected_parent": "\0"},
            {"table_name": "\ud800"},
            {"uri": "s3://\ud800/x"},
            {"uri": "s3://" + "x" * 5000},
            {"if_match": "*"},
        ):
            headers = {"Content-Type": "application/json"}
            body = json.dumps(asked | wrong)
            answer = registry.admin.post(REGISTER, content=body, headers=headers)

            assert (422, "invalid") == (answer.status_code, answer.json()["code"]), wrong

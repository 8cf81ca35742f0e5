"""A worker that dies leaves its task to others, and changes nothing if it was not dead."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from sqlalchemy import update

from datacachalog.server.app import create_app
from datacachalog.server.identity.principals import first_admin, now
from datacachalog.server.schema import tasks as rows
from datacachalog.server.work import tasks
from datacachalog.server.work.registering import Registrar
from datacachalog.server.work.worker import Worker
from tests.integration.registry.world import Registry, job_of


def claimed(connection):
    task = tasks.claim(connection)
    assert task is not None
    return task


@pytest.fixture
def left(database, settings):
    """A task that a worker has claimed, whose lease has run out since."""
    with database.alone() as connection:
        key = first_admin(connection)
    made = Registry(create_app(database, None), database, None, settings.data_dir / "objects")  # type: ignore[arg-type]
    asked = {"table_name": "t", "uri": made.parquet("1.parquet"), "format": "parquet"}
    made.client(str(key)).post("/api/v1/jobs/register-snapshot", json=asked)
    with database.writing() as connection:
        task = claimed(connection)
        connection.execute(update(rows).values(lease_until=now() - timedelta(seconds=1)))
    return task


def test_another_worker_takes_it(database, left):
    worker = Worker(database, Registrar(database, os.environ))
    worker.start()
    try:
        job = job_of(database, left.id)
    finally:
        worker.stop()

    assert ("completed", 2) == (job["status"], job["attempts"])


def test_what_comes_back_late_changes_nothing(database, left):
    with database.writing() as connection:
        taken = claimed(connection)
    assert (left.id, 2) == (taken.id, taken.attempts)

    with pytest.raises(tasks.LeaseLostError), database.writing() as connection:
        tasks.complete(connection, left, {})
    with database.writing() as connection:
        assert not tasks.renew(connection, left)
        assert not tasks.fail(connection, left, "late", "late")
        assert tasks.renew(connection, taken)


def test_one_that_is_held_is_not_claimed(database, left):
    with database.writing() as connection:
        assert tasks.claim(connection) is not None
        assert tasks.claim(connection) is None


def test_one_that_kills_its_workers_is_given_up(database, left):
    with database.writing() as connection:
        connection.execute(update(rows).values(attempts=20))
    worker = Worker(database, Registrar(database, os.environ))
    worker.start()
    try:
        job = job_of(database, left.id)
    finally:
        worker.stop()

    assert ("failed", "worker_lost") == (job["status"], job["error_code"])


def test_what_fails_for_now_is_tried_again_and_then_given_up(database, left):
    pauses = []
    for attempt in range(1, tasks.MAX_ATTEMPTS + 1):
        with database.writing() as connection:
            connection.execute(
                update(rows).values(status="queued", attempts=attempt - 1, run_after=now())
            )
            task, before = claimed(connection), now()
            assert tasks.retry(connection, task, "storage_unavailable", "later")
        with database.reading() as connection:
            row = connection.execute(rows.select()).one()
        pauses.append((row.run_after - before).total_seconds())

    assert "failed" == row.status
    assert all(pause > 2**number / 2 - 1 for number, pause in enumerate(pauses[:-1], 1))

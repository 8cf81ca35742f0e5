"""Idempotency keys, which stand for a request for a time, and not for ever."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from datacachalog.server.identity.principals import now
from datacachalog.server.schema import idempotency
from datacachalog.server.work.chores import do_chores
from datacachalog.server.work.old_keys import KEPT, forget_keys
from datacachalog.testing.payloads import at_once

ROLES = "/api/v1/roles"


@pytest.fixture
def asked(registry):
    """A write that is sent again, with the same key."""

    def ask(key):
        answer = registry.admin.post(
            ROLES, json={"name": f"role-{key}"}, headers={"Idempotency-Key": key}
        )
        return answer.status_code, answer.headers.get("idempotent-replayed")

    return ask


def age(database, key, by):
    aged = update(idempotency).where(idempotency.c.key == key).values(created_at=now() - by)
    with database.writing() as connection:
        connection.execute(aged)


def test_a_key_stands_for_its_request_for_thirty_days_and_no_longer(registry, asked):
    assert [(201, None), (201, None)] == [asked("old"), asked("new")]
    age(registry.database, "old", KEPT + timedelta(seconds=1))
    age(registry.database, "new", KEPT - timedelta(minutes=1))

    do_chores(registry.database)

    with registry.database.reading() as connection:
        assert ["new"] == list(connection.execute(select(idempotency.c.key)).scalars())
    assert (201, "true") == asked("new")
    assert (409, None) == asked("old")  # there is such a role


def test_of_many_that_forget_each_key_one_does(registry, asked):
    for number in range(5):
        asked(f"k{number}")
        age(registry.database, f"k{number}", KEPT + timedelta(days=1))

    assert 5 == sum(at_once(6, lambda _: forget_keys(registry.database, now())))

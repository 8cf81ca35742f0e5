"""The current snapshot of a table is one register, whoever writes it from wherever.

Clients compare and set it, roll it back and read it at the same time; what each was told, and from
when to when it waited, must be what one client after the other could have been told in some order
that respects who had been answered before whom asked (Herlihy and Wing, 1990).
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass

import pytest
from sqlalchemy import select

from datacachalog.server.schema import snapshots, table_moves
from datacachalog.testing.payloads import at_once

REGISTER = "/api/v1/jobs/register-snapshot"
T = "/api/v1/tables/t"
CLIENTS, ROUNDS = 16, 4


@dataclass(frozen=True)
class Call:
    """A call: what it found to be current, and what it made that, None where it changed nothing.

    `found` of a refused write is None: it says only that `expected` was not current.
    """

    begun: float
    ended: float
    found: str | None
    made: str | None = None
    expected: str | None = None


def order_of(calls: list[Call], value: str) -> list[Call] | None:
    """The calls in an order in which a register that held `value` tells all of it; None if none.

    It tries one after another (Wing and Gong, 1993): next may be what was begun before any other
    of those that are left had ended. What was tried in vain is not tried again.
    """
    todo, done, vain = sorted(calls, key=lambda one: one.begun), [], set()

    def extends(left: frozenset[int], value: str) -> bool:
        if not left:
            return True
        if (left, value) in vain:
            return False
        first_end = min(todo[number].ended for number in left)
        fit = [n for n in left if todo[n].begun <= first_end and agrees(todo[n], value)]
        for number in sorted(fit, key=lambda n: (todo[n].made is not None, n)):
            call = todo[number]
            done.append(call)
            if extends(left - {number}, call.made or value):
                return True
            done.pop()
            if call.made is None:  # where it fits, one that changes nothing is in nobody's way
                break
        vain.add((left, value))
        return False

    return done if extends(frozenset(range(len(todo))), value) else None


def agrees(call: Call, value: str) -> bool:
    if call.found is None:
        return call.expected != value
    return call.found == value


class TestOrder:
    """The checker can say no."""

    def test_what_one_after_the_other_was_told_has_one(self):
        calls = [Call(0, 1, "a", "b"), Call(2, 3, "b"), Call(4, 5, None, expected="a")]

        assert calls == order_of(calls, "a")

    def test_what_overlaps_may_be_in_any_order(self):
        assert order_of([Call(0, 9, "a", "b"), Call(1, 2, "a"), Call(3, 4, "b")], "a")

    @pytest.mark.parametrize(
        "calls",
        [
            [Call(0, 1, "a", "b"), Call(2, 3, "a")],  # a read of what was replaced
            [Call(0, 9, "a", "b"), Call(1, 2, "b"), Call(3, 4, "a")],  # new, and then old
            [Call(0, 9, "a", "b"), Call(0, 9, "a", "c")],  # both win
            [Call(0, 1, "a", "b"), Call(2, 3, None, expected="b")],  # refused in vain
            [Call(0, 1, "x")],  # from nowhere
        ],
    )
    def test_what_cannot_be_has_none(self, calls):
        assert order_of(calls, "a") is None


@pytest.fixture
def first(registry):
    return registry.registered("t", registry.parquet("0.parquet"))["result"]["snapshot_id"]


def registered(client, body):
    """A compare-and-set by a job, from when it is asked for to when it is seen to have ended."""
    begun = time.monotonic()
    location = client.post(REGISTER, json=body).headers["location"]
    job = client.get(f"{location}?wait=30").json()
    ended = time.monotonic()
    expected = body["expected_parent"]
    if job["status"] == "completed":
        return Call(begun, ended, expected, job["result"]["snapshot_id"])
    assert "parent_conflict" == job["error_code"], job
    return Call(begun, ended, None, expected=expected)


def read(client):
    begun = time.monotonic()
    found = client.get(f"{T}/snapshots/latest").json()["snapshot_id"]
    return Call(begun, time.monotonic(), found)


def test_of_many_one_wins_each_round(registry, first):
    """16 clients expect the same parent, and read before and after; 4 times over."""
    uris = [registry.parquet(f"{number}.parquet") for number in range(CLIENTS * ROUNDS)]
    calls, parent = [], first
    with registry.admin as client:
        for turn in range(ROUNDS):

            def commit(number, parent=parent, turn=turn):
                uri = uris[turn * CLIENTS + number]
                body = {"table_name": "t", "uri": uri, "format": "parquet"}
                mine = registered(client, body | {"expected_parent": parent})
                return [mine, read(client)]

            told = at_once(CLIENTS, commit)
            winners = [mine.made for mine, _ in told if mine.made is not None]
            assert 1 == len(winners)
            parent = winners[0]
            calls += [call for pair in told for call in pair]

    assert order_of(calls, first) is not None
    with registry.database.reading() as connection:
        seqs = connection.execute(select(snapshots.c.seq).order_by(snapshots.c.seq)).scalars()
        assert list(range(1, ROUNDS + 2)) == list(seqs)


def test_writers_that_go_back_and_forth_are_in_one_order(registry, first):
    """Rollbacks from what each has read last, and readers; the kept moves tell the same order."""
    ids = [first] + [
        registry.registered("t", registry.parquet(f"{number}.parquet"))["result"]["snapshot_id"]
        for number in range(1, 4)
    ]
    calls, lock = [], threading.Lock()
    with registry.admin as client:

        def act(number):
            chance = random.Random(number)
            for _ in range(6):
                seen = read(client)
                to = chance.choice([one for one in ids if one != seen.found])
                begun = time.monotonic()
                asked = {"snapshot_id": to, "expected_current": seen.found}
                answer = client.post(f"{T}/rollback", json=asked)
                ended = time.monotonic()
                if answer.status_code == 200:
                    swapped = Call(begun, ended, seen.found, to)
                else:
                    assert "parent_conflict" == answer.json()["code"]
                    swapped = Call(begun, ended, None, expected=seen.found)
                with lock:
                    calls.extend([seen, swapped])

        at_once(CLIENTS, act)

    order = order_of(calls, ids[-1])
    assert order is not None
    with registry.database.reading() as connection:
        query = select(table_moves).order_by(table_moves.c.number)
        moves = connection.execute(query).all()
    made = [one.snapshot_id for one in moves][len(ids) :]
    assert len(made) == sum(call.made is not None for call in calls) > CLIENTS // 4
    values = [ids[-1], *made]
    swaps = sorted((call.found, call.made) for call in calls if call.made is not None)
    assert swaps == sorted(zip(values, made, strict=False))
    assert list(range(1, len(moves) + 1)) == [one.number for one in moves]
    assert [one.at for one in moves] == sorted({one.at for one in moves})

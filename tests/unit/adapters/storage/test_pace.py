"""A transfer asks for as much at once as its store can bear."""

from __future__ import annotations

import threading

import pytest

from datacachalog.adapters.storage.pace import SMALLEST_PART_BYTES, Pace
from datacachalog.domain.errors import StorageUnavailableError
from datacachalog.testing.payloads import at_once

MIB = 1 << 20


@pytest.fixture
def pace():
    return Pace(8, 4 * MIB)


def fail():
    raise StorageUnavailableError("s3://lake/a", "SlowDown")


def failed(pace):
    with pytest.raises(StorageUnavailableError):
        pace.asked(fail)


def test_a_failure_halves_the_requests_at_once_down_to_one(pace):
    seen = []
    for _ in range(5):
        failed(pace)
        seen.append(pace.at_once)

    assert [4, 2, 1, 1, 1] == seen


def test_answers_bring_them_back_slowly(pace):
    failed(pace)
    before, asked = pace.at_once, 0
    while pace.at_once < 8:
        assert "answer" == pace.asked(lambda: "answer")
        asked += 1

    assert 4 == before
    assert 4 + 5 + 6 + 7 - 3 <= asked <= 4 + 5 + 6 + 7 + 4


def test_there_are_never_more_than_at_first(pace):
    for _ in range(100):
        pace.asked(lambda: None)

    assert 8 == pace.at_once


def test_failures_that_were_under_way_together_count_for_one(pace):
    together = threading.Barrier(8)

    def wait_and_fail():
        together.wait(30)
        fail()

    def act(_):
        with pytest.raises(StorageUnavailableError):
            pace.asked(wait_and_fail)

    at_once(8, act)

    assert 4 == pace.at_once


def test_other_errors_say_nothing_of_the_store(pace):
    def refuse():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pace.asked(refuse)

    assert 8 == pace.at_once
    assert [1] * 8 == at_once(8, lambda _: pace.asked(lambda: 1))


def test_no_more_are_asked_for_at_once_than_there_may_be(pace):
    for _ in range(2):
        failed(pace)
    asking, most = list[int](), list[int]()
    lock, are_two = threading.Lock(), threading.Event()

    def ask():
        with lock:
            asking.append(1)
            most.append(len(asking))
            if len(asking) == 2:
                are_two.set()
        assert are_two.wait(30)  # the first one asks until the second does
        threading.Event().wait(0.02)
        with lock:
            asking.pop()

    at_once(8, lambda _: pace.asked(ask))

    assert max(most) <= 5
    assert 2 == most[1]


@pytest.mark.parametrize(
    ("size_bytes", "seconds", "expected"),
    [
        (4 * MIB, 0.0, 4 * MIB),
        (4 * MIB, 0.05, 4 * MIB),
        (4 * MIB, 0.1, 4 * MIB),
        (4 * MIB, 0.15, 2 * MIB),
        (4 * MIB, 1.0, SMALLEST_PART_BYTES),
        (4 * MIB, 1000.0, SMALLEST_PART_BYTES),
        (MIB, 0.01, 4 * MIB),
        (0, 1.0, SMALLEST_PART_BYTES),
    ],
)
def test_parts_are_what_comes_in_a_moment(pace, size_bytes, seconds, expected):
    pace.came(size_bytes, seconds)

    assert expected == pace.part_bytes

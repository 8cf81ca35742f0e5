from __future__ import annotations

import threading
import zlib

import pytest
from blake3 import blake3

from datacachalog.testing.payloads import (
    RecordedTransfer,
    at_once,
    digest_of,
    payload,
    seed_of,
)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 100_003])
def test_a_payload_is_as_long_as_asked(size):
    assert size == len(payload(1, size))


def test_a_payload_cannot_be_compressed():
    data = payload(1, 1_000_000)

    assert len(data) <= len(zlib.compress(data))


def test_a_payload_tells_its_seed():
    assert 2**40 == seed_of(payload(2**40, 1000))


@pytest.mark.parametrize("cut", [8, 9, 500, 999])
def test_a_payload_of_two_seeds_is_found_out(cut):
    spliced = payload(1, 1000)[:cut] + payload(2, 1000)[cut:]

    with pytest.raises(AssertionError, match="these 1000 bytes are not all of payload 1"):
        seed_of(spliced)


def test_a_payload_with_zeros_in_it_is_found_out():
    with pytest.raises(AssertionError):
        seed_of(payload(1, 500) + bytes(500))


def test_the_digest_is_blake3():
    assert blake3(b"1").hexdigest() == digest_of(b"1")


def test_acts_at_once_meet_and_answer_in_order():
    meeting = threading.Barrier(4)

    def act(number):
        meeting.wait(timeout=60)
        return number * number

    assert [0, 1, 4, 9] == at_once(4, act)


def test_a_recorded_transfer_starts_anew_with_a_new_total():
    transfer = RecordedTransfer()
    transfer.total(10)
    transfer.advance(4)

    transfer.total(12)
    transfer.advance(12)

    assert ([10, 12], 12) == (transfer.totals, transfer.moved_bytes)
    assert not transfer.moved_before_total


def test_a_transfer_that_moves_before_its_total_is_found_out():
    transfer = RecordedTransfer()

    transfer.advance(1)

    assert transfer.moved_before_total

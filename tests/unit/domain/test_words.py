"""Sizes and times read as people say them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from datacachalog.domain.words import age, moment, size

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("size_bytes", "said"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1024 * 1024 - 1, "1.0 MiB"),
        (12_897_485, "12.3 MiB"),
        (5 << 40, "5.0 TiB"),
        (3000 << 50, "3000.0 PiB"),
    ],
)
def test_a_size_is_told_in_the_largest_unit_that_fits(size_bytes, said):
    assert said == size(size_bytes)


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(0), "just now"),
        (timedelta(milliseconds=-900), "just now"),
        (timedelta(seconds=1), "1 second ago"),
        (timedelta(seconds=59.9), "59 seconds ago"),
        (timedelta(minutes=2, seconds=59), "2 minutes ago"),
        (timedelta(hours=23, minutes=59), "23 hours ago"),
        (timedelta(days=1), "1 day ago"),
        (timedelta(days=400), "400 days ago"),
        (timedelta(hours=-1), "2026-03-01T13:00:00Z"),
    ],
)
def test_an_age_is_told_in_one_unit(ago, said):
    assert said == age(NOW - ago, NOW)


def test_a_moment_is_told_in_utc():
    tokyo = timezone(timedelta(hours=9))

    assert "2026-03-01T12:00:00Z" == moment(datetime(2026, 3, 1, 21, 0, tzinfo=tokyo))


def test_a_moment_is_told_as_exactly_as_it_is_known():
    assert "2026-03-01T12:00:00.000250Z" == moment(NOW.replace(microsecond=250))

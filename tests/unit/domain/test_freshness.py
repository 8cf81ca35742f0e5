from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacachalog.domain.freshness import ALWAYS, NEVER, Freshness, is_fresh

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TEN_MINUTES = Freshness(timedelta(minutes=10))

durations = st.timedeltas(min_value=timedelta(0))


@given(durations.map(lambda age: timedelta(days=age.days, seconds=age.seconds)))
def test_a_policy_of_whole_seconds_reads_back(age):
    assert Freshness(age) == Freshness.parse(str(Freshness(age)))


@given(durations)
def test_a_policy_is_written_rounded_up_to_seconds(age):
    read = Freshness.parse(str(Freshness(age))).max_age

    assert timedelta(0) <= read - age < timedelta(seconds=1)


@given(st.text())
def test_any_text_is_a_policy_or_refused(text):
    try:
        freshness = Freshness.parse(text)
    except ValueError:
        return

    assert freshness == Freshness.parse(str(freshness))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("always", 0),
        ("0s", 0),
        ("90s", 90),
        ("10m", 600),
        ("1h 30m", 5400),
        ("1h30m", 5400),
        ("2 d", 172_800),
        ("1w", 604_800),
        (" 5m ", 300),
    ],
)
def test_a_duration_is_read(text, seconds):
    assert Freshness(timedelta(seconds=seconds)) == Freshness.parse(text)


def test_never_is_read():
    assert NEVER == Freshness.parse("never")


@pytest.mark.parametrize(
    "text", ["", " ", "sometimes", "10", "m", "10x", "10m!", "-5m", "1.5h", "1234567890s", "Always"]
)
def test_what_is_no_policy_is_refused(text):
    with pytest.raises(ValueError, match="must be always, never or a duration such as 10m, not "):
        Freshness.parse(text)


def test_a_duration_beyond_all_calendars_is_refused():
    with pytest.raises(ValueError, match="is longer than can be counted"):
        Freshness.parse("999999999w")


@pytest.mark.parametrize(
    ("freshness", "text"),
    [
        (ALWAYS, "always"),
        (NEVER, "never"),
        (Freshness(timedelta(minutes=90)), "1h 30m"),
        (Freshness(timedelta(weeks=1, days=1, seconds=1)), "1w 1d 1s"),
        (Freshness(timedelta(milliseconds=1)), "1s"),
        (Freshness(timedelta(seconds=-1)), "always"),
    ],
)
def test_a_policy_is_written(freshness, text):
    assert text == str(freshness)


@pytest.mark.parametrize("age_s", [0, 1, 599.999999])
def test_a_fresh_entry_is_served(age_s):
    assert is_fresh(NOON, TEN_MINUTES, NOON + timedelta(seconds=age_s))


@pytest.mark.parametrize("age_s", [600, 601, 1e9])
def test_a_stale_entry_is_asked_about(age_s):
    assert not is_fresh(NOON, TEN_MINUTES, NOON + timedelta(seconds=age_s))


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=10_000)))
def test_always_asks_whatever_the_age(age):
    assert not is_fresh(NOON, ALWAYS, NOON + age)


@given(st.timedeltas(timedelta(days=-10_000), timedelta(days=10_000)))
def test_never_serves_whatever_the_age(age):
    assert is_fresh(NOON, NEVER, NOON + age)


def test_an_entry_from_the_future_is_asked_about():
    assert not is_fresh(NOON, TEN_MINUTES, NOON - timedelta(seconds=1))

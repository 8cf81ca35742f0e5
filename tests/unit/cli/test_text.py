"""Values read as people say them, and nothing of them can move a terminal."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacachalog.cli import text
from tests.unit.cli.support import Terminal

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
    assert said == text.size(size_bytes)


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
    assert said == text.age(NOW - ago, NOW)


def test_a_moment_is_told_in_utc():
    tokyo = timezone(timedelta(hours=9))

    assert "2026-03-01T12:00:00Z" == text.moment(datetime(2026, 3, 1, 21, 0, tzinfo=tokyo))


def test_a_moment_is_told_as_exactly_as_it_is_known():
    assert "2026-03-01T12:00:00.000250Z" == text.moment(NOW.replace(microsecond=250))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("customers é 客户", "customers é 客户"),
        ("a\x1b]0;owned\x07b", "a\\x1b]0;owned\\x07b"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("gpj.\u202eexe", "gpj.\\u202eexe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("c1\x9b31m", "c1\\x9b31m"),
        ("no\udcfftext", "no\\udcfftext"),
        ("a\xa0b", "a\xa0b"),
    ],
)
def test_what_could_move_or_hide_is_spelled_out(name, shown):
    assert shown == text.escaped(name)


@given(st.text(st.characters(codec=None)))
def test_escaped_text_has_no_control_or_formatting_character(anything):
    shown = text.escaped(anything)

    assert not {"Cc", "Cf", "Cs", "Zl", "Zp"} & {unicodedata.category(c) for c in shown}


def test_a_line_break_stays_where_it_may():
    assert "a\nb\\x1b" == text.escaped("a\nb\x1b", keep="\n")


@pytest.mark.parametrize(("word", "columns"), [("abc", 3), ("客户", 4), ("e\u0301", 1)])
def test_a_width_is_the_columns_of_a_terminal(word, columns):
    assert columns == text.width(word)


@given(st.text(), st.integers(1, 30))
def test_cropped_text_is_never_wider_than_it_may_be(anything, columns):
    assert text.width(text.cropped(anything, columns)) <= columns


def test_text_that_fits_is_not_cropped():
    assert ("客户", "客…") == (text.cropped("客户", 4), text.cropped("客户", 3))


@pytest.mark.parametrize(
    ("stream", "environ", "expected"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (StringIO(), {}, False),
    ],
)
def test_colours_are_for_terminals_whose_owner_wants_them(stream, environ, expected):
    assert expected is text.has_colour(stream, environ)


def test_paint_is_put_on_only_where_it_is_wanted():
    assert ("ok", "\x1b[32mok\x1b[0m") == (
        text.painted("ok", "green", enabled=False),
        text.painted("ok", "green", enabled=True),
    )

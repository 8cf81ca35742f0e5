"""Nothing that is told can move a terminal, or is wider than it may be."""

from __future__ import annotations

import unicodedata
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacachalog.cli import text
from tests.unit.cli.support import Terminal


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

"""The same data is a table on a terminal, tab-separated lines in a pipe, or JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest

from datacachalog.cli.output import Output, Painted, Size
from tests.unit.cli.support import Terminal

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HEADER = ("NAME", "STATE", "SIZE", "CHECKED", "ABOUT")
ROWS = [
    (
        "customers",
        Painted("current", "green"),
        Size(2048),
        NOW - timedelta(minutes=2),
        "all of them",
    ),
    ("s", Painted("stale", "yellow"), None, None, "x" * 50),
]


@pytest.fixture(autouse=True)
def a_terminal_with_colours(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")


def test_a_pipe_gets_exact_values_between_tabs_and_no_header():
    stream = StringIO()

    Output(stream, NOW).table(HEADER, ROWS, [])

    assert [
        "customers\tcurrent\t2048\t2026-03-01T11:58:00Z\tall of them",
        "s\tstale\t\t\t" + "x" * 50,
    ] == stream.getvalue().splitlines()


def test_a_terminal_gets_aligned_columns_that_fit_it():
    stream = Terminal()

    Output(stream, NOW, columns=60).table(HEADER, ROWS, [])

    plain = stream.getvalue().replace("\x1b[0m", "")
    for colour in ("1", "32", "33"):
        plain = plain.replace(f"\x1b[{colour}m", "")
    assert [
        "NAME       STATE    SIZE     CHECKED        ABOUT",
        "customers  current  2.0 KiB  2 minutes ago  all of them",
        "s          stale                            xxxxxxxxxxxxxxx…",
    ] == plain.splitlines()


def test_a_terminal_sees_the_header_and_the_states_in_colours():
    stream = Terminal()

    Output(stream, NOW).table(HEADER, ROWS, [])

    header, current, stale = stream.getvalue().splitlines()
    assert header.startswith("\x1b[1mNAME")
    assert "\x1b[32mcurrent\x1b[0m" in current
    assert "\x1b[33mstale  \x1b[0m" in stale


def test_a_terminal_without_colours_gets_the_same_words(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()

    Output(stream, NOW).table(HEADER, ROWS, [])

    assert "\x1b" not in stream.getvalue()


def test_an_empty_table_is_nothing_at_all():
    stream = Terminal()

    Output(stream, NOW).table(HEADER, [], [])

    assert "" == stream.getvalue()


@pytest.mark.parametrize("stream", [StringIO(), Terminal()])
def test_nothing_in_a_cell_can_break_a_row_or_move_the_terminal(stream):
    Output(stream, NOW).table(("A", "B"), [("a\tb\n", Painted("c\x1b[2J", "red"))], [])

    assert "a\\tb\\n" in stream.getvalue()
    assert "c\\x1b[2J" in stream.getvalue()


def test_a_person_is_not_shown_what_is_not_known():
    stream = Terminal()

    Output(stream, NOW).facts([("size", Size(3)), ("etag", None), ("tags", "")], {})

    assert ["\x1b[2msize\x1b[0m  3 B"] == stream.getvalue().splitlines()


def test_a_person_reads_long_facts_on_several_lines_and_paths_whole():
    stream = Terminal()
    path = "/a/long/path/that/must/stay/whole.csv"

    Output(stream, NOW, columns=30).facts(
        [("cache", f"one two three four five {path} six"), ("store", Painted("no " * 12, "red"))],
        {},
    )

    label, red, end = "\x1b[2m{}\x1b[0m  ".format, "\x1b[1;31m", "\x1b[0m"
    assert [
        f"{label('cache')}one two three four five",
        f"       {path}",
        "       six",
        f"{label('store')}{red}no no no no no no no no{end}",
        f"       {red}no no no no{end}",
    ] == stream.getvalue().splitlines()


def test_a_pipe_gets_every_fact_on_its_line():
    stream = StringIO()

    Output(stream, NOW).facts([("size", Size(3)), ("etag", None)], {})

    assert "size\t3\netag\t\n" == stream.getvalue()


def test_a_line_is_exact_in_a_pipe_and_safe_on_a_terminal():
    pipe, terminal = StringIO(), Terminal()

    for stream in (pipe, terminal):
        Output(stream, NOW).lines(["/cache/\x1b[2J.csv"], [])

    assert ("/cache/\x1b[2J.csv\n", "/cache/\\x1b[2J.csv\n") == (
        pipe.getvalue(),
        terminal.getvalue(),
    )


@pytest.mark.parametrize("stream", [StringIO(), Terminal()])
@pytest.mark.parametrize("method", ["lines", "table", "facts"])
def test_json_is_the_record_and_nothing_else(method, stream):
    output = Output(stream, NOW, as_json=True)
    before = stream.tell()

    match method:
        case "lines":
            output.lines(["no"], {"a": "é"})
        case "table":
            output.table(("NO",), [("no",)], {"a": "é"})
        case "facts":
            output.facts([("no", "no")], {"a": "é"})

    written = stream.getvalue()[before:]
    assert {"a": "é"} == json.loads(written)
    assert written.isascii()

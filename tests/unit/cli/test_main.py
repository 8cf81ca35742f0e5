"""The boundary: whatever happens in a command, it ends in one message and one exit code."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from pathlib import Path

import click
import pytest

from datacachalog.cli.app import app
from datacachalog.cli.exits import ExitCode
from datacachalog.cli.interrupts import Terminated
from datacachalog.cli.main import run


@pytest.fixture
def failing(monkeypatch):
    """Has `catalog list` raise something."""

    def fail(error: BaseException) -> None:
        def command() -> None:
            click.echo("partial")
            raise error

        broken = click.Command("list", callback=command)
        monkeypatch.setattr(type(app), "get_command", lambda *_: broken)

    return fail


def test_an_unforeseen_exception_is_a_bug_and_has_no_traceback(catalog, failing):
    failing(ZeroDivisionError("secret"))

    code, stdout, stderr = catalog("list")

    assert (ExitCode.BUG, "partial\n") == (code, stdout)
    assert "unexpected ZeroDivisionError" in stderr
    assert "secret" not in stderr


def test_an_unforeseen_exception_is_shown_in_full_to_whoever_debugs(catalog, failing, monkeypatch):
    monkeypatch.setenv("DATACACHALOG_DEBUG", "1")
    failing(ZeroDivisionError("here"))

    _, _, stderr = catalog("list")

    assert "Traceback" in stderr
    assert "ZeroDivisionError: here" in stderr


@pytest.mark.parametrize(
    ("interrupt", "code"), [(KeyboardInterrupt(), 130), (Terminated(), 143), (click.Abort(), 130)]
)
def test_an_interrupted_command_says_so(catalog, failing, interrupt, code):
    failing(interrupt)

    assert (code, "interrupted\n") == catalog("list")[::2]


def test_an_interrupted_command_says_so_in_json(catalog, failing):
    failing(KeyboardInterrupt())

    error = json.loads(catalog("--json", "list").stderr)["error"]

    assert "interrupted" == error["code"]


def test_a_wrong_option_is_told_in_our_voice(catalog):
    code, stdout, stderr = catalog("fetch", "--fresh")

    assert (2, "") == (code, stdout)
    assert [
        "error: there is no option '--fresh'",
        "hint: did you mean '--refresh'?",
    ] == stderr.splitlines()


@pytest.mark.parametrize("option", ["-q", "--quiet", "--cache-dir", "--catalog"])
def test_an_option_of_all_commands_that_stands_behind_one_is_told_its_place(catalog, option):
    assert [
        f"error: there is no option {option!r} here",
        f"hint: it stands before the command: 'catalog {option} …'",
    ] == catalog("fetch", "customers", option).stderr.splitlines()


def test_an_option_like_no_other_is_not_guessed(catalog):
    assert (
        "error: there is no option '--xyzzy'\nhint: 'catalog fetch --help' shows what there is\n"
    ) == catalog("fetch", "--xyzzy").stderr


def test_a_wrong_option_before_the_command_is_told_in_our_voice(catalog):
    code, _, stderr = catalog("--cache-dir")

    assert 2 == code
    assert "error: option '--cache-dir' requires an argument\n" in stderr


def test_a_wrong_option_is_told_in_json_even_where_json_comes_after_it(catalog):
    code, stdout, stderr = catalog("fetch", "--fresh", "--json")

    assert (2, "") == (code, stdout)
    assert "usage" == json.loads(stderr)["error"]["code"]


def test_an_exit_code_that_a_command_chooses_is_the_processs(catalog, failing):
    failing(click.exceptions.Exit(8))

    assert (8, "partial\n", "") == catalog("list")


def test_an_error_of_ours_has_its_own_code(catalog, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    code, _, stderr = catalog("list")

    assert ExitCode.USAGE == code
    assert stderr.startswith("error: no catalog.yaml")


def test_output_that_nobody_reads_ends_quietly(project, capfd, monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)

        code = run(["list"])

    assert (ExitCode.PIPE_CLOSED, "") == (code, capfd.readouterr().err)


def test_output_that_cannot_be_written_is_no_bug(project, capfd, monkeypatch):
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)

        code = run(["list"])

    assert ExitCode.USAGE == code
    assert (
        "error: the output cannot be written: No space left on device\n" == capfd.readouterr().err
    )


def test_an_error_is_told_even_where_the_output_is_lost(project, capfd, monkeypatch):
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)

        code = run(["fetch", "customers", "gone"])

    assert ExitCode.NOT_FOUND == code
    assert "1 of 2 datasets could not be fetched" in capfd.readouterr().err


def test_streams_that_are_closed_swallow_what_is_written(project, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)

    with contextlib.ExitStack() as opened:
        code = run(["fetch", "customers", "gone"])
        for stream in (sys.stdout, sys.stderr):
            opened.enter_context(stream)

    assert ExitCode.NOT_FOUND is code


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
@pytest.mark.parametrize(
    ("path", "shown"),
    [("a\udcff", b"a\xff\n"), ("\u65e5", b"\xe6\x97\xa5\n"), ("\ud800", b"\\ud800\n")],
)
def test_a_path_is_written_as_the_bytes_that_it_is(failing, monkeypatch, encoding, path, shown):
    def command() -> None:
        sys.stdout.write(f"{path}\n")

    monkeypatch.setattr(
        type(app), "get_command", lambda *_: click.Command("list", callback=command)
    )
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding))

    code = run(["list"])

    assert (ExitCode.DONE, shown) == (code, written.getvalue())

"""What the command line looks like: help, global options, and what is offered for typos."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from datacachalog.cli.main import run

COMMANDS = [
    "init",
    "list",
    "show",
    "fetch",
    "push",
    "status",
    "why",
    "plan",
    "versions",
    "lock",
    "invalidate",
    "verify",
    "gc",
    "cache",
    "doctor",
]


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_lists_every_command(catalog, option):
    code, stdout, stderr = catalog(option)

    listed = stdout.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert (0, COMMANDS, "") == (code, [line.split()[0] for line in listed], stderr)
    assert "..." not in "".join(listed), "a summary is cut off"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_takes_json(catalog, name):
    path = ["cache", "stats"] if name == "cache" else [name]

    code, stdout, _ = catalog(*path, "--help")

    assert (0, f"Usage: catalog {' '.join(path)}") == (code, stdout.partition(" [")[0])
    assert "--json" in stdout


def test_no_command_is_a_question_for_help(catalog):
    code, stdout, stderr = catalog()

    assert (2, "") == (code, stdout)
    assert stderr.startswith("Usage: catalog ")


def test_a_group_without_its_command_says_what_is_missing(catalog):
    assert "error: missing command\n" in catalog("cache").stderr


def test_a_mistyped_command_is_guessed(catalog):
    assert (
        2,
        "",
        "error: there is no command 'ftech'\nhint: did you mean 'fetch'?\n",
    ) == catalog("ftech")


def test_a_command_like_no_other_is_not_guessed(catalog):
    assert "hint: 'catalog --help' lists the commands\n" in catalog("xyzzy\x1b").stderr


def test_the_version_is_printed(catalog):
    code, stdout, _ = catalog("--version")

    assert (0, "catalog") == (code, stdout.split()[0])


@pytest.mark.parametrize("args", [["--json", "--version"], ["--version", "--json"]])
def test_the_version_is_json_where_that_is_asked_for(catalog, args):
    code, stdout, _ = catalog(*args)

    assert (0, ["version"]) == (code, list(json.loads(stdout)))


def test_the_line_to_copy_for_completion_is_one_line(catalog, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")

    lines = [line.strip() for line in catalog("--help").stdout.splitlines()]

    assert 'eval "$(_CATALOG_COMPLETE=bash_source catalog)"' in lines


def test_the_catalog_and_the_cache_can_be_named(project, catalog, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    code, stdout, _ = catalog("--catalog", "project", "--cache-dir", "mine", "fetch", "customers")

    assert (0, True) == (code, stdout.startswith(str(tmp_path / "mine")))


def test_json_may_come_before_the_command_or_after_it(project, catalog):
    assert catalog("--json", "list").stdout == catalog("list", "--json").stdout


def test_quiet_leaves_the_data(project, catalog):
    assert (0, "", "") == catalog("--quiet", "invalidate", "customers")


def test_a_program_gets_no_notices(project, catalog):
    assert "" == catalog("invalidate", "customers", "--json").stderr


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("catalog f", ["fetch"]),
        ("catalog fetch ", ["customers", "sales", "gone"]),
        ("catalog --catalog elsewhere fetch ", []),
        ("catalog fetch --re", ["--refresh"]),
        ("catalog show s", ["sales"]),
        ("catalog frob ", COMMANDS),
    ],
)
def test_the_shell_is_offered_commands_options_and_names(
    project, capfd, monkeypatch, words, offered
):
    typed = words.split(" ")
    monkeypatch.setenv("_CATALOG_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(typed) - 1))

    with pytest.raises(SystemExit):
        run([])

    assert offered == [line.split(",")[1] for line in capfd.readouterr().out.split()]


def test_a_cache_that_may_not_be_listed_is_no_wrong_option(project, catalog, monkeypatch):
    """Its error is that of the cache, as where a variable or the catalog names it."""
    Path("mine").mkdir()
    monkeypatch.setattr("os.access", lambda *_, **__: False)

    assert 0 == catalog("--cache-dir", "mine", "cache", "dir").code


def test_a_cache_that_is_no_folder_is_not_the_current_one(project, catalog):
    """As of an unset variable: `catalog --cache-dir "$UNSET"`."""
    before = sorted(Path().rglob("*"))

    assert (2, "") == catalog("--cache-dir", "", "fetch", "customers")[:2]

    assert before == sorted(Path().rglob("*"))

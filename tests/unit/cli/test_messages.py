"""What goes wrong is told in one voice, to people and to programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from datacachalog.cli import messages
from datacachalog.cli.exits import UsageError
from datacachalog.domain.errors import (
    CacheFullError,
    CatalogInvalidError,
    DatasetNotFoundError,
    FetchAllError,
    IntegrityError,
    StorageUnavailableError,
)
from tests.unit.cli.support import Terminal

SEVERAL = FetchAllError(
    {
        "sales": StorageUnavailableError("s3://lake/sales", "timed out"),
        "costs": StorageUnavailableError("s3://lake/costs", "reset\nby peer"),
        "other": IntegrityError("/cache/other", "wrong digest"),
    },
    {"customers": Path("customers.csv")},
)


@pytest.fixture
def told(capsys):
    def tell(error, *, as_json=False):
        messages.tell(error, as_json=as_json)
        written = capsys.readouterr()
        assert "" == written.out
        return written.err

    return tell


def test_an_error_is_told_with_its_hint(told):
    assert (
        "error: dataset 'custmers' is not in the catalog\nhint: did you mean 'customers'?\n"
    ) == told(DatasetNotFoundError("custmers", ("customers",)))


def test_an_error_without_a_hint_is_one_line(told):
    assert "error: no\n" == told(UsageError("no"))


def test_a_note_on_an_error_is_told_too(told):
    error = UsageError("no", "do")
    error.add_note("but it was pushed")

    assert "error: no\nnote: but it was pushed\nhint: do\n" == told(error)


def test_every_mistake_of_a_catalog_has_its_line(told):
    error = CatalogInvalidError("catalog.yaml", ("catalog.yaml:2: no", "catalog.yaml:7: nor this"))

    assert [
        "error: 2 mistakes in catalog.yaml",
        "  catalog.yaml:2: no",
        "  catalog.yaml:7: nor this",
    ] == told(error).splitlines()[:3]


def test_several_failures_are_told_together_and_each_hint_once_with_its_datasets(told):
    assert [
        "error: 3 of 4 datasets could not be fetched",
        "  sales: 's3://lake/sales' cannot be reached: timed out",
        "  costs: 's3://lake/costs' cannot be reached: reset",
        "  by peer",
        "  other: '/cache/other' does not hold the bytes it should: wrong digest",
        (
            "hint for sales, costs: check the network and the endpoint; "
            "'catalog doctor' tries each store"
        ),
        (
            "hint for other: fetch it again; if that does not help, the store or the disk is "
            "damaged, or a declared 'checksum' is out of date"
        ),
    ] == told(SEVERAL).splitlines()


def test_a_hint_that_fits_all_failures_names_none(told):
    failures = {name: DatasetNotFoundError(name) for name in ("sales", "costs")}

    last = told(FetchAllError(failures, {})).splitlines()[-1]

    assert "hint: 'catalog list' shows the names there are" == last


def test_no_line_of_an_error_can_pass_for_one_of_ours(told):
    forged = UsageError("no\nerror: pay here\n\x1b[1mhint: do\r")

    assert ["error: no", "  error: pay here", "  \\x1b[1mhint: do\\r"] == told(forged).splitlines()


def test_json_is_one_object_on_one_line(told):
    written = told(CacheFullError("/cache\n", "no space"), as_json=True)

    assert 1 == written.count("\n")
    assert {
        "error": {
            "code": "cache-full",
            "message": "the cache at '/cache\\n' is full: no space",
            "hint": "free space ('catalog cache clear'), or move it: --cache-dir, "
            "DATACACHALOG_CACHE_DIR",
        }
    } == json.loads(written)


def test_json_of_several_failures_names_each(told):
    error = json.loads(told(SEVERAL, as_json=True))["error"]

    assert ("fetch-all", "3 of 4 datasets could not be fetched") == (
        error["code"],
        error["message"],
    )
    assert [
        ("sales", "storage-unavailable"),
        ("costs", "storage-unavailable"),
        ("other", "integrity"),
    ] == [(one["name"], one["code"]) for one in error["failures"]]


def test_json_has_the_notes_too(told):
    error = UsageError("no")
    error.add_note("but it was pushed")

    assert ["but it was pushed"] == json.loads(told(error, as_json=True))["error"]["notes"]


def test_a_bug_is_told_without_its_own_words(capsys):
    messages.confess(KeyError("https://lake/?signature=secret"), as_json=False)

    assert [
        "error: unexpected KeyError: this is a bug in datacachalog",
        "hint: run it again with DATACACHALOG_DEBUG=1, and report what it prints",
    ] == capsys.readouterr().err.splitlines()


def test_a_bug_is_told_in_json(capsys):
    messages.confess(KeyError("x"), as_json=True)

    error = json.loads(capsys.readouterr().err)["error"]
    assert ("bug", "unexpected KeyError: this is a bug in datacachalog") == (
        error["code"],
        error["message"],
    )


def test_a_bug_is_told_in_full_where_that_is_asked_for(capsys, monkeypatch):
    monkeypatch.setenv("DATACACHALOG_DEBUG", "1")

    messages.confess(KeyError("x"), as_json=False)

    assert "KeyError: 'x'\nerror: unexpected KeyError" in capsys.readouterr().err


def test_a_warning_and_a_notice_are_told_on_standard_error(capsys):
    messages.warn("sales: no answer\nat all")
    messages.say("pushed\x1b")

    assert ("", "warning: sales: no answer\n  at all\npushed\\x1b\n") == capsys.readouterr()


def test_a_terminal_sees_errors_in_colours(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")

    messages.tell(UsageError("no", "do"), as_json=False)

    assert "\x1b[1;31merror:\x1b[0m no\n\x1b[36mhint:\x1b[0m do\n" == terminal.getvalue()

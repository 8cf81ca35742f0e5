"""`catalog why` and `catalog plan`, on files."""

from __future__ import annotations

import json
import re

import pytest

from tests.unit.cli.support import ran_on_terminal


def test_why_is_one_sentence(project, catalog):
    code, stdout, stderr = catalog("why", "customers")

    assert (0, "") == (code, stderr)
    assert re.fullmatch(
        r"customers would be downloaded: nothing is cached, and the store holds 7 B, changed "
        r"\d{4}-\d\d-\d\d \d\d:\d\d UTC\n",
        stdout,
    )


def test_why_is_told_to_programs(project, catalog):
    catalog("fetch", "sales")

    code, stdout, _ = catalog("why", "sales", "--json")

    found = json.loads(stdout)
    assert (0, "sales", "cached", "fresh", 0, None, None) == (
        code,
        *(found[key] for key in ("name", "outcome", "reason", "size_bytes", "remote", "error")),
    )
    assert "and `freshness: 10m`" in found["sentence"]
    assert found["cached"]["path"].endswith("sales.csv")


def test_that_a_fetch_would_fail_is_an_answer(project, catalog):
    code, stdout, stderr = catalog("why", "gone")

    assert (0, "") == (code, stderr)
    assert stdout.startswith("gone would fail: there is no object at ")


def test_an_unknown_name_is_an_error(project, catalog):
    assert (3, "") == catalog("why", "custmers")[:2]


@pytest.mark.parametrize("command", ["why", "plan"])
def test_options_are_those_of_a_fetch(project, catalog, command):
    catalog("fetch", "sales")

    assert "holds the cached revision" in catalog(command, "sales", "--refresh").stdout
    assert "without asking" in catalog("why", "sales", "--offline").stdout
    assert 2 == catalog(command, "sales", "--refresh", "--offline").code


def test_a_plan_is_a_row_a_dataset_and_a_sum(project, catalog):
    catalog("fetch", "sales")

    code, stdout, stderr = catalog("plan")

    rows = [line.split("\t") for line in stdout.splitlines()]
    assert 0 == code
    assert [
        ["customers", "downloaded", "7"],
        ["sales", "cached", "0"],
        ["gone", "failed", ""],
    ] == [row[:3] for row in rows]
    assert "there is no object at" in rows[2][3]
    assert (
        "1 of 3 datasets would be downloaded: 7 B; 1 would fail, and their sizes are not known\n"
        == stderr
    )
    assert catalog("plan", "--all").stdout == stdout


def test_a_plan_is_told_to_programs(project, catalog):
    code, stdout, stderr = catalog("plan", "customers", "gone", "--json")

    found = json.loads(stdout)
    assert (0, "") == (code, stderr)
    assert (1, 1, 7) == (found["downloads"], found["failures"], found["size_bytes"])
    assert ["customers", "gone"] == [one["name"] for one in found["datasets"]]
    assert "object-not-found" == found["datasets"][1]["error"]["code"]


def test_nothing_is_downloaded(project, catalog, tmp_path):
    catalog("plan")
    catalog("why", "customers")

    assert not (tmp_path / "cache" / "v1" / "objects").exists()


def test_a_plan_of_names_and_of_all_is_refused(project, catalog):
    assert 2 == catalog("plan", "customers", "--all").code


def test_a_plan_of_an_empty_catalog_says_why_it_is_empty(project, catalog):
    (project / "catalog.yaml").write_text("version: 1\n")

    code, stdout, stderr = catalog("plan")

    assert (0, "", 1) == (code, stdout, stderr.count("\n"))


def test_people_read_a_table(project):
    shown = ran_on_terminal(["plan", "customers"]).stderr

    assert re.search(r"NAME +OUTCOME +SIZE +CAUSE", shown)
    assert re.search(r"customers +.*downloaded.* +7 B +nothing is cached", shown)

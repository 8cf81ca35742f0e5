"""Commands of a catalog with `view:`, and what the doctor says of it."""

from __future__ import annotations

import json
import shutil

import pytest

FETCH = ["fetch", "customers"]
PUSH = ["push", "customers", "new.csv", "--expect", "any"]


@pytest.fixture
def link(project):
    file = project / "catalog.yaml"
    file.write_text(f"{file.read_text()}view: current\n")
    return project / "current" / "customers.csv"


def doctors_view(catalog):
    code, stdout, _ = catalog("doctor", "--json")
    [found] = [one for one in json.loads(stdout) if one["check"] == "view"]
    return code, found


def test_a_fetch_makes_the_link(catalog, link):
    assert f"{link.resolve()}\n" != catalog("fetch", "customers").stdout

    assert catalog("fetch", "customers").stdout == f"{link.resolve()}\n"
    assert link.is_symlink()


def test_a_push_moves_the_link(catalog, project, link):
    (project / "new.csv").write_text("new")

    catalog(*PUSH)

    assert "new" == link.read_text()


@pytest.mark.parametrize("command", [FETCH, PUSH])
def test_what_is_in_the_way_is_a_warning(catalog, project, link, command):
    (project / "new.csv").write_text("new")
    link.parent.mkdir()
    link.write_text("mine")

    code, stdout, stderr = catalog(*command)

    assert 0 == code
    assert stdout.endswith("customers.csv\n")
    told = f"warning: customers: the link '{link}' cannot be made: something else is in its place\n"
    assert stderr.startswith(told)
    assert "mine" == link.read_text()


@pytest.mark.parametrize("command", [FETCH, PUSH])
def test_a_program_reads_it_in_the_record(catalog, project, link, command):
    (project / "new.csv").write_text("new")
    link.mkdir(parents=True)

    code, stdout, stderr = catalog(*command, "--json")

    found = json.loads(stdout)
    record = found[0] if isinstance(found, list) else found
    assert (0, "", "view") == (code, stderr, record["link_error"]["code"])


def test_the_doctor_tells_of_a_view_that_is_not_there_yet(catalog, link):
    _, found = doctors_view(catalog)

    assert (True, str(link.parent), 0, []) == (
        found["ok"],
        found["dir"],
        found["links"],
        found["broken"],
    )
    assert not link.parent.exists()


def test_the_doctor_tells_of_links_that_lead_nowhere(catalog, link, tmp_path):
    catalog("fetch", "customers", "sales")
    catalog("cache", "clear", "--yes")

    _, found = doctors_view(catalog)

    assert (True, 2, ["customers.csv", "sales.csv"]) == (
        found["ok"],
        found["links"],
        found["broken"],
    )
    assert "a fetch mends those that lead nowhere: customers.csv" in catalog("doctor").stdout


def test_the_doctor_tells_of_what_is_in_the_way(catalog, link):
    link.mkdir(parents=True)

    code, found = doctors_view(catalog)

    assert (9, "view") == (code, found["error"]["code"])


def test_the_doctor_tells_of_a_view_that_cannot_be_made(catalog, link):
    link.parent.write_text("a file")

    code, found = doctors_view(catalog)

    assert (9, False) == (code, found["ok"])


def test_without_a_view_the_doctor_does_not_speak_of_it(catalog, project):
    assert "view" not in [one["check"] for one in json.loads(catalog("doctor", "--json").stdout)]


def test_a_view_that_was_removed_is_made_again(catalog, link):
    catalog("fetch", "customers")
    shutil.rmtree(link.parent)

    catalog("fetch", "customers")

    assert link.is_symlink()

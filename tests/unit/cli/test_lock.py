"""`catalog lock` and `catalog fetch --locked`: what they print, what they leave, how they end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest


@pytest.fixture
def whole(project):
    """The project, all of whose datasets can be fetched."""
    (project / "data" / "gone.csv").write_text("back")
    return project


@pytest.fixture
def elsewhere(whole, tmp_path, monkeypatch):
    """Goes to a clone of the project on another machine, whose cache is empty."""

    def go():
        clone = tmp_path / "elsewhere" / "clone"
        shutil.copytree(whole, clone)
        monkeypatch.chdir(clone)
        monkeypatch.setenv("DATACACHALOG_CACHE_DIR", str(tmp_path / "other-cache"))
        return clone

    return go


class TestLock:
    def test_what_was_locked_is_told_to_people(self, whole, catalog):
        code, stdout, stderr = catalog("lock")

        assert (0, "") == (code, stdout)
        assert [
            "Added customers: 7 B, blake3",
            "Added gone: 4 B, blake3",
            "Added sales: 17 B, blake3",
        ] == [line.rpartition(" ")[0] for line in stderr.splitlines()]
        assert 'source = "data/customers.csv"' in (whole / "catalog.lock").read_text()

    def test_the_second_time_nothing_changes(self, whole, catalog):
        catalog("lock")

        assert (0, "", "nothing has changed\n") == catalog("lock")

    def test_an_upgrade_is_told_as_what_changed(self, whole, catalog):
        catalog("lock")
        for name in ("customers", "sales"):
            (whole / "data" / f"{name}.csv").write_text("new")

        stderr = catalog("lock", "--upgrade", "customers").stderr
        everything = catalog("lock", "--upgrade-all").stderr

        assert stderr.startswith("Updated customers: size 7 → 3, blake3 ")
        assert everything.startswith("Updated sales: size 17 → 3, blake3 ")
        assert (1, 1) == (len(stderr.splitlines()), len(everything.splitlines()))

    def test_several_are_upgraded(self, whole, catalog):
        catalog("lock")
        for name in ("customers", "sales"):
            (whole / "data" / f"{name}.csv").write_text("new")

        stderr = catalog("lock", "--upgrade", "customers", "--upgrade", "sales").stderr

        assert 2 == stderr.count("Updated ")

    def test_what_the_catalog_has_no_more_is_removed(self, whole, catalog):
        catalog("lock")
        text = (whole / "catalog.yaml").read_text()
        (whole / "catalog.yaml").write_text(text.partition("  gone:")[0])

        assert "Removed gone\n" == catalog("lock").stderr

    def test_quiet_is_quiet(self, whole, catalog):
        assert (0, "", "") == catalog("-q", "lock")

    def test_json_says_what_changed(self, whole, catalog):
        (added,) = json.loads(catalog("lock", "customers", "--json").stdout)
        (whole / "data" / "customers.csv").write_text("new")

        (updated,) = json.loads(
            catalog("lock", "customers", "--upgrade", "customers", "--json").stdout
        )

        assert ("customers", "added", None) == (added["name"], added["change"], added["before"])
        assert ("updated", added["after"]) == (updated["change"], updated["before"])
        assert "size 7 → 3" == updated["differences"][0]
        assert {"source", "size_bytes", "etag", "version", "last_modified", "digest"} == {
            *added["after"]
        }

    def test_nothing_is_written_where_one_fails(self, project, catalog):
        code, _, stderr = catalog("lock")

        assert 3 == code
        assert stderr.startswith("error: 1 of 3 datasets could not be fetched\n  gone: there is no")
        assert not (project / "catalog.lock").exists()

    def test_one_that_fails_alone_is_told_plainly(self, project, catalog):
        code, _, stderr = catalog("lock", "gone")

        assert 3 == code
        assert stderr.startswith("error: there is no object at ")

    def test_a_merge_conflict_is_told_with_its_line(self, whole, catalog):
        (whole / "catalog.lock").write_text("version = 1\n<<<<<<< HEAD\n")

        code, _, stderr = catalog("lock")

        assert 2 == code
        assert "catalog.lock:2: a merge conflict is not solved\nhint: keep the tables" in stderr

    def test_a_catalog_without_datasets_says_why_nothing_is_told(self, project, catalog):
        (project / "catalog.yaml").write_text("version: 1\n")

        assert "has no datasets" in catalog("lock").stderr

    @pytest.mark.parametrize(
        ("args", "message"),
        [
            (["--check", "--upgrade", "sales"], "--check changes nothing"),
            (["--check", "--upgrade-all"], "--check changes nothing"),
            (["sales", "--upgrade-all"], "--upgrade-all is of all datasets"),
            (["--upgrade", "sales", "--upgrade-all"], "--upgrade-all is of all datasets"),
        ],
    )
    def test_a_question_that_makes_no_sense_is_refused(self, whole, catalog, args, message):
        code, stdout, stderr = catalog("lock", *args)

        assert (2, "", True) == (code, stdout, message in stderr)
        assert not (whole / "catalog.lock").exists()

    def test_an_unknown_name_is_not_found(self, whole, catalog):
        assert 3 == catalog("lock", "--upgrade", "custmers").code

    def test_a_push_leaves_the_lockfile_alone(self, whole, catalog, tmp_path):
        catalog("lock")
        text = (whole / "catalog.lock").read_text()
        (tmp_path / "new.csv").write_text("new")

        assert 0 == catalog("push", "customers", str(tmp_path / "new.csv")).code
        assert text == (whole / "catalog.lock").read_text()

    def test_two_catalogs_in_a_folder_have_a_lockfile_each(self, whole, catalog):
        shutil.copy(whole / "catalog.yaml", whole / "prod.yaml")

        catalog("--catalog", "prod.yaml", "lock")

        assert ["prod.lock"] == [path.name for path in whole.glob("*.lock")]


class TestCheck:
    def test_a_lockfile_that_fits_is_fine(self, whole, catalog):
        catalog("lock")

        assert (0, "", "the lockfile fits the catalog\n") == catalog("lock", "--check")

    def test_one_that_does_not_is_told(self, whole, catalog):
        catalog("lock", "customers", "gone")
        text = (whole / "catalog.yaml").read_text().replace("customers.csv", "other.csv")
        (whole / "catalog.yaml").write_text(text.partition("  gone:")[0])

        code, stdout, stderr = catalog("lock", "--check")

        assert (8, "") == (code, stdout)
        assert [
            (
                "warning: customers is locked at another source: "
                "source data/customers.csv → data/other.csv"
            ),
            "warning: gone is locked, and the catalog has no such dataset",
            "warning: sales is not locked",
            "warning: the lockfile does not fit the catalog; 'catalog lock' makes it",
        ] == stderr.splitlines()

    def test_json_says_what_would_change(self, whole, catalog):
        catalog("lock", "customers")

        code, stdout, stderr = catalog("lock", "--check", "--json")

        assert (8, "") == (code, stderr)
        assert {"customers": "unchanged", "gone": "added", "sales": "added"} == {
            one["name"]: one["change"] for one in json.loads(stdout)
        }

    def test_one_that_is_missing_is_told_with_what_writes_it(self, whole, catalog):
        code, _, stderr = catalog("lock", "--check")

        assert 8 == code
        assert f"error: there is no '{whole}/catalog.lock'\nhint: run 'catalog lock'" in stderr


class TestFetchLocked:
    def test_another_machine_gets_the_same_bytes(self, whole, catalog, elsewhere):
        catalog("lock")
        clone = elsewhere()

        code, stdout, stderr = catalog("fetch", "--locked", "--all")

        assert (0, "") == (code, stderr)
        for line in stdout.splitlines():
            path = Path(line)
            assert path.is_relative_to(clone.parents[1] / "other-cache")
            assert path.read_bytes() == (whole / "data" / path.name).read_bytes()
        assert 0 == catalog("lock", "--check").code

    def test_one_that_has_moved_on_is_exit_code_8(self, whole, catalog, elsewhere):
        catalog("lock")
        (whole / "data" / "sales.csv").write_text("id,amount\n1,8.99\n")
        elsewhere()

        code, stdout, stderr = catalog("fetch", "--locked", "customers", "sales")

        assert (8, ["customers.csv"]) == (code, [Path(p).name for p in stdout.splitlines()])
        assert "sales: dataset 'sales' is not what is locked: blake3 " in stderr
        assert "'catalog lock --upgrade sales'" in stderr

    def test_the_error_is_in_json(self, whole, catalog, elsewhere):
        catalog("lock")
        (whole / "data" / "sales.csv").write_text("new")
        elsewhere()

        code, _, stderr = catalog("fetch", "--locked", "sales", "--json")

        assert (8, "lock-mismatch") == (code, json.loads(stderr)["error"]["code"])

    def test_without_a_lockfile_it_is_exit_code_8(self, whole, catalog):
        code, stdout, stderr = catalog("fetch", "--locked", "sales")

        assert (8, "", True) == (code, stdout, "hint: run 'catalog lock'" in stderr)

    @pytest.mark.parametrize("args", [["--refresh"], ["--version", "1"], ["--as-of", "2020-01-01"]])
    def test_it_goes_with_no_other_choice_of_bytes(self, whole, catalog, args):
        code, _, stderr = catalog("fetch", "sales", "--locked", *args)

        assert (2, True) == (code, "--locked goes with none of" in stderr)

    def test_the_links_of_a_view_stay_with_what_is_current(self, whole, catalog):
        text = (whole / "catalog.yaml").read_text()
        (whole / "catalog.yaml").write_text(f"{text}view: links\n")
        catalog("lock")
        (whole / "data" / "customers.csv").write_text("new")
        catalog("fetch", "customers")

        locked = Path(catalog("fetch", "--locked", "customers").stdout.removesuffix("\n"))

        (link,) = (path for path in (whole / "links").iterdir() if "customers" in path.name)
        assert ("id\n1\n2\n", "new") == (locked.read_text(), link.read_text())

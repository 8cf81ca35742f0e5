"""The commands that move bytes, run on files: what they print, what they leave, how they end."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest


class TestFetch:
    def test_the_path_is_printed_and_holds_the_bytes(self, project, catalog):
        code, stdout, stderr = catalog("fetch", "customers")

        assert (0, "") == (code, stderr)
        assert "id\n1\n2\n" == Path(stdout.removesuffix("\n")).read_text()

    def test_nobody_asks_offline(self, project, catalog):
        code, stdout, stderr = catalog("fetch", "customers", "--offline", "--refresh")

        assert (2, "") == (code, stdout)
        assert "--refresh and --offline exclude each other" in stderr

    def test_files_are_read_offline(self, project, catalog):
        assert 0 == catalog("fetch", "customers", "--offline").code

    def test_paths_come_in_the_order_asked_and_as_often(self, project, catalog):
        lines = catalog("fetch", "sales", "customers", "sales").stdout.splitlines()

        assert ["sales.csv", "customers.csv", "sales.csv"] == [Path(line).name for line in lines]

    def test_all_are_fetched_in_the_order_of_the_catalog(self, project, catalog):
        (project / "data" / "gone.csv").write_text("back")

        lines = catalog("fetch", "--all").stdout.splitlines()

        assert ["customers.csv", "sales.csv", "gone.csv"] == [Path(line).name for line in lines]

    def test_json_says_what_was_done(self, project, catalog):
        first = json.loads(catalog("fetch", "customers", "--json").stdout)
        second = json.loads(catalog("fetch", "customers", "--json").stdout)

        assert ("downloaded", "unchanged") == (first[0]["outcome"], second[0]["outcome"])
        assert {"name", "path", "outcome", "size_bytes", "etag", "version", "digest"} <= {*first[0]}
        assert (7, None) == (first[0]["size_bytes"], first[0]["version"])

    def test_a_fresh_copy_is_served_until_a_refresh_is_asked_for(self, project, catalog):
        catalog("fetch", "sales")

        outcomes = [
            json.loads(catalog("fetch", "sales", "--json", *more).stdout)[0]["outcome"]
            for more in ([], ["--refresh"])
        ]

        assert ["cached", "unchanged"] == outcomes

    def test_what_works_is_printed_where_something_fails(self, project, catalog):
        code, stdout, stderr = catalog("fetch", "gone", "customers", "nope", "sales")

        assert ["customers.csv", "sales.csv"] == [Path(line).name for line in stdout.splitlines()]
        assert 3 == code
        assert stderr.startswith("error: 2 of 4 datasets could not be fetched\n  gone: there is no")

    def test_json_of_a_partial_failure_is_an_array_and_an_error(self, project, catalog):
        code, stdout, stderr = catalog("fetch", "gone", "sales", "--json")

        assert (3, ["sales"]) == (code, [one["name"] for one in json.loads(stdout)])
        assert ["gone"] == [one["name"] for one in json.loads(stderr)["error"]["failures"]]

    def test_one_that_fails_alone_is_told_plainly(self, project, catalog):
        code, stdout, stderr = catalog("fetch", "gone")

        assert (3, "") == (code, stdout)
        assert stderr.startswith("error: there is no object at ")

    def test_a_past_time_names_what_was_there_then(self, project, catalog):
        soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()

        assert 0 == catalog("fetch", "customers", "--as-of", soon).code
        assert 3 == catalog("fetch", "customers", "--as-of", "2020-02-01").code

    def test_a_time_without_a_zone_is_utc(self, project, catalog):
        stderr = catalog("fetch", "customers", "--as-of", "2020-02-01").stderr

        assert "as of 2020-02-01T00:00:00+00:00" in stderr

    def test_a_time_with_a_zone_is_in_it(self, project, catalog):
        stderr = catalog("fetch", "customers", "--as-of", "2020-02-01T12:00+02:00").stderr

        assert "as of 2020-02-01T12:00:00+02:00" in stderr

    def test_a_version_that_is_not_there_is_not_found(self, project, catalog):
        assert 3 == catalog("fetch", "customers", "--version", "7").code

    @pytest.mark.parametrize(
        ("args", "message"),
        [
            ([], "no dataset was named"),
            (["customers", "--all"], "--all and names exclude each other"),
            (["customers", "--version", "1", "--as-of", "2020-01-01"], "exclude each other"),
            (["customers", "sales", "--version", "1"], "--version is of one dataset"),
            (["--all", "--version", "1"], "--version is of one dataset"),
            (["customers", "--as-of", "noon"], "'noon' is no time such as"),
            (["customers", "--max-workers", "0"], "invalid value for '--max-workers'"),
        ],
    )
    def test_a_question_that_makes_no_sense_is_refused(self, project, catalog, args, message):
        code, stdout, stderr = catalog("fetch", *args)

        assert (2, "", True) == (code, stdout, message in stderr)

    @pytest.mark.parametrize(
        "args", [["customers", "--all"], ["customers", "--version", "1", "--as-of", "2020-01-01"]]
    )
    def test_whoever_asks_for_two_things_at_once_is_told_what_to_do(self, project, catalog, args):
        assert "hint: give " in catalog("fetch", *args).stderr

    def test_each_hint_says_which_datasets_it_is_for(self, project, catalog):
        stderr = catalog("fetch", "gone", "nope", "custmers", "customers").stderr

        assert [
            (
                "hint for gone: check the source in catalog.yaml, and that it was not deleted or "
                "renamed"
            ),
            "hint for nope: 'catalog list' shows the names there are",
            "hint for custmers: did you mean 'customers'?",
        ] == stderr.splitlines()[-3:]

    def test_a_pipe_is_no_folder_to_name_a_file_in(self, project, catalog):
        os.mkfifo(project / "data" / "gone.csv")

        code, _, stderr = catalog("fetch", "gone")

        assert 2 == code
        assert "is a device or pipe, not a file\nhint: write what comes out of it" in stderr


class TestPush:
    @pytest.fixture
    def new(self, tmp_path):
        path = tmp_path / "new.csv"
        path.write_text("id\n1\n2\n3\n")
        return path

    def test_the_object_is_replaced_and_the_copy_is_printed(self, project, catalog, new):
        catalog("fetch", "customers")

        code, stdout, stderr = catalog("push", "customers", str(new))

        assert (0, f"pushed 9 B to {project}/data/customers.csv\n") == (code, stderr)
        assert new.read_text() == (project / "data" / "customers.csv").read_text()
        assert new.read_text() == Path(stdout.removesuffix("\n")).read_text()

    def test_json_says_what_was_pushed(self, project, catalog, new):
        pushed = json.loads(catalog("push", "gone", str(new), "--json").stdout)

        assert ("gone", f"{project}/data/gone.csv", 9) == (
            pushed["name"],
            pushed["source"],
            pushed["size_bytes"],
        )

    def test_somebody_elses_change_is_a_conflict(self, project, catalog, new):
        catalog("fetch", "customers")
        (project / "data" / "customers.csv").write_text("theirs")

        assert 5 == catalog("push", "customers", str(new)).code
        assert "theirs" == (project / "data" / "customers.csv").read_text()

    def test_a_change_can_be_overwritten_on_purpose(self, project, catalog, new):
        assert 0 == catalog("push", "customers", str(new), "--expect", "any").code

    def test_what_must_be_absent_is_not_overwritten(self, project, catalog, new):
        assert 5 == catalog("push", "customers", str(new), "--expect", "absent").code

    def test_what_may_not_be_pushed_is_not(self, project, catalog, new):
        assert 4 == catalog("push", "sales", str(new)).code

    @pytest.mark.parametrize(
        ("file", "problem"),
        [
            ("nowhere.csv", "No such file or directory"),
            ("data", "it is a folder"),
            ("", "it is no path"),
        ],
    )
    def test_what_is_no_file_is_told_with_what_to_do(self, project, catalog, file, problem):
        code, _, stderr = catalog("push", "customers", file)

        assert 2 == code
        assert [
            f"error: cannot read '{file}': {problem}",
            "hint: name one file that can be read; a relative path starts at the current folder",
        ] == stderr.splitlines()

    @pytest.mark.parametrize(
        ("args", "ways"),
        [
            ([], ["'catalog fetch'", "'--expect any'"]),
            (["--expect", "absent"], ["'--expect cached'", "'catalog fetch'", "'--expect any'"]),
        ],
    )
    @pytest.mark.parametrize("as_json", [[], ["--json"]])
    def test_the_hint_of_a_conflict_can_be_typed(self, project, catalog, new, args, ways, as_json):
        catalog("fetch", "customers")
        (project / "data" / "customers.csv").write_text("theirs")

        stderr = catalog("push", "customers", str(new), *args, *as_json).stderr

        assert ways == re.findall(r"'(?:--expect|catalog) \w+'", stderr)
        assert "expect=" not in stderr

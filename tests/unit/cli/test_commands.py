"""Each command, run on files: what it prints, what it leaves, how it ends."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from datacachalog import Catalog
from datacachalog.manifest import format as manifest_format

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


class TestInit:
    @pytest.fixture(autouse=True)
    def here(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

    def test_a_new_catalog_can_be_fetched_from_at_once(self, catalog):
        code, stdout, stderr = catalog("init")

        assert (0, "catalog.yaml\ndata/customers.csv\n") == (code, stdout)
        assert "next: catalog fetch customers\n" == stderr
        assert 0 == catalog("fetch", "customers").code

    @pytest.mark.parametrize(
        ("folder", "change"),
        [("first", "cd first && "), ("a b", "cd 'a b' && "), (".", ""), ("x/..", "")],
    )
    def test_what_to_do_next_can_be_typed_as_it_is_told(self, catalog, folder, change):
        assert f"next: {change}catalog fetch customers\n" == catalog("init", folder).stderr

    def test_the_sample_names_every_key_that_there_is(self, catalog):
        catalog("init")

        text = Path("catalog.yaml").read_text()
        sections = (
            manifest_format.CATALOG,
            manifest_format._CACHE,
            manifest_format._DEFAULTS,
            manifest_format.STORAGE_OPTIONS,
            manifest_format.DATASET,
        )
        keys = {key for section in sections for key in section.keys}
        assert keys == {key for key in keys if re.search(rf"^[# ]*{key}:", text, re.MULTILINE)}

    def test_all_of_the_sample_may_be_used(self, catalog):
        catalog("init")
        text = Path("catalog.yaml").read_text()
        head, _, body = text.partition("version: 1\n")

        Path("catalog.yaml").write_text(
            f"{head}version: 1\n"
            + re.sub(r"^( *)# ( *[a-z_0-9]+:.*)$", r"\1\2", body, flags=re.MULTILINE)
        )

        assert ["customers", "sales"] == list(Catalog.open())

    def test_the_sample_has_a_header_and_ten_rows(self, catalog):
        catalog("init")

        assert 11 == len(Path("data/customers.csv").read_text().splitlines())

    def test_a_folder_that_is_not_there_is_made(self, catalog):
        catalog("init", "a/b")

        assert ["customers"] == list(Catalog.open("a/b"))

    def test_a_bare_catalog_is_valid_and_empty(self, catalog):
        code, stdout, stderr = catalog("init", "--bare")

        assert (0, "catalog.yaml\n", "") == (code, stdout, stderr)
        assert [] == list(Catalog.open())
        assert ["catalog.yaml"] == [path.name for path in Path().iterdir()]

    @pytest.mark.parametrize("name", ["catalog.yaml", "data/customers.csv"])
    def test_nothing_is_overwritten_and_then_nothing_is_written(self, catalog, name):
        Path("data").mkdir()
        Path(name).write_text("mine")

        code, stdout, stderr = catalog("init")

        assert (2, "") == (code, stdout)
        assert f"error: '{name}' is there already\nhint: choose another folder\n" == stderr
        assert [name] == [str(path) for path in Path().rglob("*") if path.is_file()]
        assert "mine" == Path(name).read_text()

    def test_a_link_to_nowhere_is_not_written_through(self, catalog):
        Path("catalog.yaml").symlink_to("elsewhere.yaml")

        assert 2 == catalog("init").code

    def test_a_folder_that_cannot_be_made_is_told(self, catalog):
        Path("file").write_text("")

        assert (
            2,
            "",
            "error: 'file' is no folder\nhint: choose another one\n",
        ) == catalog("init", "file")

    def test_nothing_is_begun_that_cannot_be_finished(self, catalog):
        Path("data").write_text("")

        assert 2 == catalog("init").code
        assert [Path("data")] == list(Path().iterdir())

    def test_what_was_written_is_told_in_json(self, catalog):
        assert ["catalog.yaml", "data/customers.csv"] == json.loads(
            catalog("init", "--json").stdout
        )


class TestList:
    def test_a_pipe_gets_names_sources_and_descriptions(self, project, catalog):
        assert [
            f"customers\t{project}/data/customers.csv\tOne row per customer",
            f"sales\t{project}/data/sales.csv\t",
            f"gone\t{project}/data/gone.csv\t",
        ] == catalog("list").stdout.splitlines()

    def test_json_has_all_that_the_catalog_says(self, project, catalog):
        listed = json.loads(catalog("list", "--json").stdout)

        assert {
            "name": "customers",
            "source": f"{project}/data/customers.csv",
            "description": "One row per customer",
            "tags": ["crm", "daily"],
            "freshness": "always",
            "on_unreachable": "stale",
            "checksum": None,
            "push": True,
        } == listed[0]

    def test_people_are_told_that_a_catalog_is_empty(self, project, catalog):
        (project / "catalog.yaml").write_text("version: 1\n")
        empty = f"{project}/catalog.yaml has no datasets; add some below 'datasets:'\n"

        assert [(0, "", empty)] * 3 == [
            catalog(*command) for command in (["list"], ["status"], ["fetch", "--all"])
        ]
        assert (0, "[]\n", "") == catalog("list", "--json")


class TestShow:
    def test_what_is_known_is_shown_without_asking_the_store(self, project, catalog):
        shown = dict(line.split("\t") for line in catalog("show", "gone").stdout.splitlines())

        assert ("gone", "always", "nothing") == (shown["name"], shown["freshness"], shown["cached"])

    def test_a_copy_is_shown_with_its_revision(self, project, catalog):
        path = catalog("fetch", "sales").stdout.strip()

        shown = dict(line.split("\t") for line in catalog("show", "sales").stdout.splitlines())

        assert (path, "17", "not allowed", "10m") == (
            shown["cached"],
            shown["size"],
            shown["push"],
            shown["freshness"],
        )
        assert ISO.fullmatch(shown["checked"])
        assert re.fullmatch(r"blake3:[0-9a-f]{64}", shown["digest"])

    def test_json_has_the_copy_or_null(self, project, catalog):
        before = json.loads(catalog("show", "sales", "--json").stdout)
        path = catalog("fetch", "sales").stdout.strip()

        after = json.loads(catalog("show", "sales", "--json").stdout)

        assert (None, path) == (before["cached"], after["cached"]["path"])

    def test_an_unknown_name_is_not_found(self, project, catalog):
        code, _, stderr = catalog("show", "custmers")

        assert (3, True) == (code, "hint: did you mean 'customers'?" in stderr)


class TestStatus:
    def test_every_dataset_has_its_state(self, project, catalog):
        catalog("fetch", "customers", "sales")
        (project / "data" / "sales.csv").write_text("changed")

        code, stdout, stderr = catalog("status")

        assert [["customers", "current"], ["sales", "stale"], ["gone", "unknown"]] == [
            line.split("\t")[:2] for line in stdout.splitlines()
        ]
        assert 0 == code
        assert stderr.startswith("warning: gone: there is no object at ")

    def test_named_ones_come_in_the_order_asked(self, project, catalog):
        lines = catalog("status", "sales", "customers").stdout.splitlines()

        assert [["sales", "absent"], ["customers", "absent"]] == [
            line.split("\t")[:2] for line in lines
        ]

    def test_json_has_both_sides_and_the_error(self, project, catalog):
        catalog("fetch", "customers")

        code, stdout, stderr = catalog("status", "customers", "gone", "--json")

        customers, gone = json.loads(stdout)
        assert (0, "") == (code, stderr)
        assert customers["cached"]["etag"] == customers["remote"]["etag"]
        assert (None, "object-not-found") == (gone["remote"], gone["error"]["code"])

    def test_a_check_succeeds_where_all_is_current(self, project, catalog):
        catalog("fetch", "customers", "sales")

        assert 0 == catalog("status", "--check", "customers", "sales").code

    def test_a_check_fails_where_a_copy_is_stale(self, project, catalog):
        catalog("fetch", "customers")
        (project / "data" / "customers.csv").write_text("changed")

        assert 8 == catalog("status", "--check", "customers").code

    def test_a_check_fails_where_a_copy_is_absent(self, project, catalog):
        assert 8 == catalog("status", "--check", "customers").code

    def test_a_check_that_could_not_be_made_ends_in_its_error(self, project, catalog):
        assert 3 == catalog("status", "--check").code

    def test_an_unknown_name_is_not_found(self, project, catalog):
        assert 3 == catalog("status", "nope").code


class TestVersions:
    def test_a_file_has_one_version(self, project, catalog):
        code, stdout, _ = catalog("versions", "customers")

        version, modified, size, etag = stdout.removesuffix("\n").split("\t")
        assert (0, "-", "7") == (code, version, size)
        assert ISO.fullmatch(modified)
        assert etag.startswith('"')

    def test_json_has_every_field(self, project, catalog):
        (only,) = json.loads(catalog("versions", "customers", "--json").stdout)

        assert (7, None, False) == (only["size_bytes"], only["version"], only["deleted"])

    def test_what_is_not_there_is_not_found(self, project, catalog):
        assert 3 == catalog("versions", "gone").code


class TestInvalidate:
    def test_the_next_fetch_downloads_anew(self, project, catalog):
        path = catalog("fetch", "sales").stdout.strip()

        code, stdout, stderr = catalog("invalidate", "sales", "customers")

        assert (0, "") == (code, stdout)
        assert "sales: invalidated\ncustomers: nothing was cached\n" == stderr
        assert "downloaded" == json.loads(catalog("fetch", "sales", "--json").stdout)[0]["outcome"]
        assert Path(path).exists()

    def test_an_unknown_name_leaves_the_others_alone(self, project, catalog):
        catalog("fetch", "sales")

        assert 3 == catalog("invalidate", "sales", "nope").code
        assert "cached" == json.loads(catalog("fetch", "sales", "--json").stdout)[0]["outcome"]

    def test_json_says_which_had_a_copy(self, project, catalog):
        assert [{"name": "sales", "invalidated": False}] == json.loads(
            catalog("invalidate", "sales", "--json").stdout
        )

    def test_no_name_is_refused(self, project, catalog):
        assert "error: missing argument 'NAME...'\n" in catalog("invalidate").stderr


class TestCache:
    def test_the_folder_is_printed(self, project, catalog, tmp_path):
        assert (0, f"{tmp_path / 'cache'}\n", "") == catalog("cache", "dir")

    def test_the_folder_is_known_without_a_catalog_too(self, catalog, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

        code, stdout, _ = catalog("--cache-dir", "mine", "cache", "dir", "--json")

        assert (0, {"dir": str(tmp_path / "mine")}) == (code, json.loads(stdout))

    @pytest.mark.parametrize("by", ["option", "variable"])
    def test_a_catalog_that_was_named_must_be_there(
        self, catalog, nobodys_home, tmp_path, monkeypatch, by
    ):
        monkeypatch.chdir(tmp_path)
        if by == "variable":
            monkeypatch.setenv("DATACACHALOG_CATALOG", "elsewhere")

        named = ["--catalog", "elsewhere"] if by == "option" else []

        assert 2 == catalog(*named, "cache", "dir").code

    def test_stats_count_copies_and_bytes(self, project, catalog, tmp_path):
        catalog("fetch", "customers", "sales")
        (project / "data" / "customers.csv").write_text("changed")
        catalog("fetch", "customers")

        stats = json.loads(catalog("cache", "stats", "--json").stdout)

        assert stats.pop("free_bytes") > 0
        assert {
            "dir": str(tmp_path / "cache"),
            "sources": 2,
            "copies": 3,
            "unfinished": 0,
            "size_bytes": 7 + 17 + 7,
            "unfinished_size_bytes": 0,
        } == stats

    def test_stats_are_lines_in_a_pipe(self, project, catalog):
        lines = catalog("cache", "stats").stdout.splitlines()

        assert [
            *("dir", "sources", "copies", "unfinished"),
            *("size", "unfinished_size", "free"),
        ] == [one.split("\t")[0] for one in lines]

    def test_nothing_is_cleared_unasked(self, project, catalog):
        path = catalog("fetch", "customers").stdout.strip()

        code, _, stderr = catalog("cache", "clear")

        assert (2, True) == (code, "hint: say so with --yes\n" in stderr)
        assert Path(path).exists()

    def test_a_cleared_cache_is_empty(self, project, catalog):
        catalog("fetch", "customers")

        assert (0, "", "freed 7 B\n") == catalog("cache", "clear", "--yes")
        assert 0 == json.loads(catalog("cache", "stats", "--json").stdout)["copies"]

    def test_json_says_how_much_was_freed(self, project, catalog):
        catalog("fetch", "customers")

        assert 7 == json.loads(catalog("cache", "clear", "-y", "--json").stdout)["freed_bytes"]

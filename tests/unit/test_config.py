"""Which setting wins, and what is said where there is none."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from datacachalog.config import (
    cache_dir,
    durability,
    find_catalog,
    is_offline,
    is_shared,
    progress_wanted,
)
from datacachalog.config import lockfile as lockfile_of
from datacachalog.domain.durability import Durability
from datacachalog.domain.errors import CachePermissionError, CatalogNotFoundError, SettingError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a catalog, and folders below it."""
    (tmp_path / "project" / "a" / "b").mkdir(parents=True)
    (tmp_path / "project" / "catalog.yaml").touch()
    return tmp_path / "project"


ENVIRON = {"DATACACHALOG_CACHE_DIR": "/environment"}


class TestFindCatalog:
    @pytest.mark.parametrize("below", [".", "a", "a/b", "a/../a/b"])
    def test_the_nearest_catalog_upward_is_found(self, project: Path, below: str):
        assert project / "catalog.yaml" == find_catalog(project / below, None, {})

    def test_a_nearer_catalog_hides_a_farther_one(self, project: Path):
        (project / "a" / "catalog.yaml").touch()

        assert project / "a" / "catalog.yaml" == find_catalog(project / "a" / "b", None, {})

    def test_a_folder_above_is_above_the_real_start(self, project: Path):
        (project / "a" / "catalog.yaml").touch()

        assert project / "catalog.yaml" == find_catalog(project / "a" / "..", None, {})

    def test_a_folder_called_catalog_yaml_is_passed_by(self, project: Path):
        (project / "a" / "catalog.yaml").mkdir()

        assert project / "catalog.yaml" == find_catalog(project / "a", None, {})

    def test_the_search_starts_in_the_current_folder(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.chdir(project / "a")

        assert project / "catalog.yaml" == find_catalog(None, None, {})

    def test_an_argument_beats_the_environment(self, project: Path):
        other = project / "a" / "other.yaml"
        other.touch()

        found = find_catalog(project, other, {"DATACACHALOG_CATALOG": "/nowhere"})

        assert other == found

    def test_the_environment_beats_the_nearest(self, project: Path):
        other = project / "a" / "other.yaml"
        other.touch()

        assert other == find_catalog(project, None, {"DATACACHALOG_CATALOG": str(other)})

    def test_an_empty_variable_is_none(self, project: Path):
        found = find_catalog(project, None, {"DATACACHALOG_CATALOG": ""})

        assert project / "catalog.yaml" == found

    def test_a_folder_means_the_catalog_in_it(self, project: Path):
        assert project / "catalog.yaml" == find_catalog(None, str(project), {})

    def test_what_is_named_keeps_the_name_it_was_given(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.chdir(project)

        assert Path("catalog.yaml") == find_catalog(None, "catalog.yaml", {})

    def test_the_home_folder_in_a_variable_is_the_users(self, project: Path):
        environ = {"DATACACHALOG_CATALOG": "~/project", "HOME": str(project.parent)}

        assert project / "catalog.yaml" == find_catalog(None, None, environ)

    @pytest.mark.parametrize("name", ["nowhere.yaml", "a", "nul\0"])
    def test_a_named_catalog_that_is_not_there_is_not_searched_for(self, project: Path, name: str):
        with pytest.raises(CatalogNotFoundError) as caught:
            find_catalog(project, project / name, {})

        where = project / name / "catalog.yaml" if name == "a" else project / name
        assert f"no catalog.yaml at {str(where)!r}" == str(caught.value)

    def test_a_catalog_that_a_variable_names_says_so(self, project: Path):
        with pytest.raises(CatalogNotFoundError) as caught:
            find_catalog(project, None, {"DATACACHALOG_CATALOG": "/nowhere"})

        assert "no catalog.yaml at '/nowhere', which DATACACHALOG_CATALOG names" == str(
            caught.value
        )

    def test_no_catalog_says_where_it_was_looked_for(self, tmp_path: Path):
        with pytest.raises(CatalogNotFoundError) as caught:
            find_catalog(tmp_path, None, {})

        assert f"no catalog.yaml in {str(tmp_path)!r} or in a folder above it" == str(caught.value)

    @pytest.mark.parametrize("name", ["catalog.yml", "Catalog.YML", "catalogue.yaml"])
    def test_a_name_that_is_nearly_right_is_told(self, tmp_path: Path, name: str):
        (tmp_path / name).touch()
        (tmp_path / "below").mkdir()

        for start, named in ((tmp_path / "below", None), (None, tmp_path)):
            with pytest.raises(CatalogNotFoundError) as caught:
                find_catalog(start, named, {})

            assert str(tmp_path / name) == caught.value.similar

    def test_other_names_are_not_taken_for_it(self, tmp_path: Path):
        (tmp_path / "data.yml").touch()

        with pytest.raises(CatalogNotFoundError) as caught:
            find_catalog(None, tmp_path, {})

        assert None is caught.value.similar

    def test_a_current_folder_that_is_gone_has_no_catalog(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        (tmp_path / "gone").mkdir()
        monkeypatch.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()

        with pytest.raises(CatalogNotFoundError) as caught:
            find_catalog(None, None, {})

        assert "no catalog.yaml in the current folder, which was removed" == str(caught.value)


class TestOffline:
    @pytest.mark.parametrize(
        ("said", "offline"),
        [("1", True), ("on", True), (" True ", True), ("0", False), ("no", False), ("", False)],
    )
    def test_the_environment_says_it(self, said: str, offline: bool):
        assert offline == is_offline({"DATACACHALOG_OFFLINE": said})

    def test_nobody_goes_online_for_a_typing_error(self):
        with pytest.raises(SettingError, match="must be 1 or 0"):
            is_offline({"DATACACHALOG_OFFLINE": "ture"})


class TestShared:
    @pytest.mark.parametrize(
        ("explicit", "said", "in_manifest", "shared"),
        [
            (None, "", None, False),
            (None, "", True, True),
            (None, "0", True, False),
            (None, "1", False, True),
            (False, "1", True, False),
            (True, "0", False, True),
        ],
    )
    def test_the_call_beats_the_environment_which_beats_the_catalog(
        self, explicit: bool | None, said: str, in_manifest: bool | None, shared: bool
    ):
        assert shared == is_shared(explicit, {"DATACACHALOG_SHARED": said}, in_manifest)

    def test_nobody_trusts_others_for_a_typing_error(self):
        with pytest.raises(SettingError, match="must be 1 or 0"):
            is_shared(None, {"DATACACHALOG_SHARED": "yess"}, None)


class TestCacheDir:
    def test_an_argument_beats_the_environment(self):
        assert Path("/argument") == cache_dir("/argument", ENVIRON, Path("/manifest"))

    def test_the_environment_beats_the_catalog(self):
        assert Path("/environment") == cache_dir(None, ENVIRON, Path("/manifest"))

    def test_the_catalog_beats_the_default(self):
        environ = {"DATACACHALOG_CACHE_DIR": ""}

        assert Path("/manifest") == cache_dir(None, environ, Path("/manifest"))

    def test_the_default_is_the_users_own_cache(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("XDG_CACHE_HOME", "/home/ada/.cache")

        assert Path("/home/ada/.cache/datacachalog") == cache_dir(None, {}, None)

    def test_no_folder_is_not_the_current_one(self):
        """As of an unset variable: `catalog --cache-dir "$UNSET"`."""
        with pytest.raises(SettingError, match="cache_dir is empty"):
            cache_dir("", ENVIRON, None)

    @pytest.mark.parametrize("named", ["~/x", Path("~/x")])
    def test_a_tilde_is_the_home_folder(self, named: str | Path):
        assert Path("/home/ada/x") == cache_dir(named, {"HOME": "/home/ada"}, None)

    def test_a_relative_folder_starts_at_the_current_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.chdir(tmp_path)

        assert [tmp_path / "x"] * 2 == [
            cache_dir("x", {}, None),
            cache_dir(None, {"DATACACHALOG_CACHE_DIR": "x"}, None),
        ]

    @pytest.mark.parametrize(("written", "folder"), [("~", "/home/ada"), ("~/x", "/home/ada/x")])
    def test_the_home_folder_in_a_variable_is_the_users(self, written: str, folder: str):
        environ = {"DATACACHALOG_CACHE_DIR": written, "HOME": "/home/ada"}

        assert Path(folder) == cache_dir(None, environ, None)

    def test_a_user_without_a_home_must_name_a_folder(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.delenv("HOME")
        monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)

        with pytest.raises(CachePermissionError) as caught:
            cache_dir(None, {}, None)

        problem = "the cache at '~' cannot be used: the home folder of this user is not known"
        assert problem == str(caught.value)


class TestDurability:
    @pytest.mark.parametrize(
        ("call", "environ", "in_file", "expected"),
        [
            (None, "", None, "lazy"),
            (None, "", "strict", "strict"),
            (None, "none", "strict", "none"),
            (None, " Strict ", None, "strict"),
            ("lazy", "none", "strict", "lazy"),
        ],
    )
    def test_it_is_the_calls_or_the_environments_or_the_files(
        self, call: str | None, environ: str, in_file: str | None, expected: str
    ):
        declared = None if in_file is None else Durability(in_file)

        found = durability(call, {"DATACACHALOG_DURABILITY": environ}, declared)

        assert Durability(expected) is found

    def test_a_variable_that_makes_no_sense_is_an_error(self):
        with pytest.raises(SettingError, match="DATACACHALOG_DURABILITY must be lazy, strict"):
            durability(None, {"DATACACHALOG_DURABILITY": "fsync"}, None)

    def test_so_is_a_call(self):
        with pytest.raises(ValueError, match="must be lazy, strict or none, not 'fsync'"):
            durability("fsync", {}, None)


@pytest.mark.parametrize(
    ("environ", "stream_isatty", "wanted"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"CI": "true"}, True, False),
        ({"CI": "1"}, True, False),
        ({"CI": ""}, True, True),
        ({"CI": "false"}, True, True),
        ({"DATACACHALOG_PROGRESS": "0"}, True, False),
        ({"DATACACHALOG_PROGRESS": "Off"}, True, False),
        ({"DATACACHALOG_PROGRESS": "1"}, False, True),
        ({"DATACACHALOG_PROGRESS": "1", "CI": "true"}, False, True),
        ({"DATACACHALOG_PROGRESS": "perhaps"}, True, True),
        ({"DATACACHALOG_PROGRESS": ""}, False, False),
    ],
)
def test_progress_is_shown_to_people(environ: dict[str, str], stream_isatty: bool, wanted: bool):
    assert wanted is progress_wanted(environ, stream_isatty)


def test_settings_and_catalogs_load_nothing_heavy():
    code = "import sys, datacachalog.config, datacachalog.manifest; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=os.environ
    )

    heavy = {"boto3", "botocore", "obstore", "pydantic", "pydantic_settings", "rich", "typer"}
    assert set() == heavy & set(done.stdout.split())


@pytest.mark.parametrize(
    ("catalog", "lockfile"),
    [
        ("/shop/catalog.yaml", "/shop/catalog.lock"),
        ("/shop/prod.yml", "/shop/prod.lock"),
        ("/shop/catalog.lock", "/shop/catalog.lock.lock"),
        ("/shop/catalog", "/shop/catalog.lock"),
        ("/shop/eu.catalog", "/shop/eu.catalog.lock"),
    ],
)
def test_a_lockfile_is_beside_its_catalog_and_never_the_same(catalog, lockfile):
    assert Path(lockfile) == lockfile_of(Path(catalog))

"""How settings become a catalog, and how little it takes to import one."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType

import pytest

import datacachalog
from datacachalog import (
    Catalog,
    CatalogInvalidError,
    CatalogNotFoundError,
    Dataset,
    DatasetNameError,
    Freshness,
    Outcome,
    SettingError,
    UnsupportedSchemeError,
    bootstrap,
)
from datacachalog.adapters.api.memory import MemoryApi
from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.cache.memory import MemoryCache
from datacachalog.adapters.storage import registry
from datacachalog.adapters.storage.memory import MemoryStorage
from datacachalog.domain.durability import Durability
from datacachalog.domain.registry import Registration
from datacachalog.domain.uri import Uri

HEAVY = {"boto3", "botocore", "obstore", "pyarrow", "duckdb", "pydantic", "rich", "typer"}
LAZY = {"yaml", "platformdirs", "shutil", "importlib.metadata", "datacachalog.manifest"}

YAML = """\
version: 1
cache:
  dir: .cache
storage:
  s3://lake:
    endpoint_url: http://127.0.0.1:9000
datasets:
  orders:
    source: data/orders.csv
    freshness: 10m
  customers:
    source: s3://lake/customers.csv
"""


def cache_root(catalog):
    assert isinstance(catalog.cache, DirectoryCache)
    return catalog.cache.root


def durability_of(catalog):
    assert isinstance(catalog.cache, DirectoryCache)
    return catalog.cache.settling.durability


@pytest.fixture
def project(tmp_path):
    """A folder with a catalog and the data of one of its datasets."""
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "orders.csv").write_text("id\n")
    (folder / "catalog.yaml").write_text(YAML)
    return folder


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Another folder, which is the current one."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


class TestFromDatasets:
    def test_relative_sources_start_at_the_current_folder(self, project, monkeypatch):
        monkeypatch.chdir(project)
        catalog = Catalog([Dataset("orders", "data/orders.csv")])
        monkeypatch.chdir("/")

        assert str(project / "data" / "orders.csv") == str(catalog["orders"].source)
        assert "id\n" == catalog.fetch("orders").read_text()

    def test_a_clock_that_a_test_has_set_is_heeded(self, project, monkeypatch):
        """As freezegun sets it: by another `datetime` in every module."""

        class Later(datetime):
            @classmethod
            def now(cls, tz=None):
                return datetime.now(tz) + timedelta(hours=2)

        source = project / "data" / "orders.csv"
        catalog = Catalog([Dataset("orders", source, freshness="1h")])
        catalog.fetch("orders")
        source.write_text("changed\n")

        assert "id\n" == catalog.fetch("orders").read_text()
        monkeypatch.setattr("datacachalog.bootstrap.datetime", Later)
        assert "changed\n" == catalog.fetch("orders").read_text()

    def test_it_has_no_file(self):
        catalog = Catalog([])

        assert (None, None) == (catalog.file, catalog.root)

    def test_names_are_used_once(self):
        with pytest.raises(DatasetNameError):
            Catalog([Dataset("a", "a.csv"), Dataset("a", "b.csv")])

    def test_its_cache_is_the_users(self, nobodys_home):
        assert nobodys_home / ".cache" / "datacachalog" == cache_root(Catalog([]))

    def test_the_environments_cache_comes_before_the_users(self, monkeypatch):
        monkeypatch.setenv("DATACACHALOG_CACHE_DIR", "/environment")

        assert Path("/environment") == cache_root(Catalog([]))

    def test_the_calls_cache_comes_before_the_environments(self, monkeypatch):
        monkeypatch.setenv("DATACACHALOG_CACHE_DIR", "/environment")

        assert Path("/call") == cache_root(Catalog([], cache_dir="/call"))

    def test_a_relative_cache_starts_at_the_current_folder(self, elsewhere):
        assert elsewhere / "kept" == cache_root(Catalog([], cache_dir=Path("kept")))

    @pytest.mark.parametrize("layers", [[], ["layer"]])
    def test_its_durability_is_the_calls_or_the_environments(self, monkeypatch, layers):
        monkeypatch.setenv("DATACACHALOG_DURABILITY", "none")

        found = [
            Catalog([], cache_layers=layers),
            Catalog([], cache_layers=layers, durability="strict"),
        ]

        assert [Durability.NONE, Durability.STRICT] == [durability_of(each) for each in found]
        assert Durability.STRICT is durability_of(travelled(found[1]))

    def test_nothing_is_made_before_it_is_used(self, tmp_path):
        catalog = Catalog([Dataset("a", "s3://lake/a.csv")], cache_dir=tmp_path / "cache")

        assert not catalog.invalidate("a")
        assert [] == list(tmp_path.iterdir())

    def test_every_part_can_be_replaced(self):
        storage = MemoryStorage()
        storage.put(Dataset("a", "mem://lake/a.csv").source, b"1")
        with MemoryCache() as cache:
            catalog = Catalog([Dataset("a", "mem://lake/a.csv")], storage=storage, cache=cache)

            assert (storage, cache) == (catalog.storage, catalog.cache)
            assert b"1" == catalog.fetch("a").read_bytes()

    def test_time_is_the_present_one(self, project):
        catalog = Catalog([Dataset("a", project / "data" / "orders.csv")])
        before = datetime.now(UTC)

        assert before <= catalog.obtain("a").entry.checked_at <= datetime.now(UTC)

    def test_a_scheme_that_nothing_serves_is_told_at_once(self):
        with pytest.raises(UnsupportedSchemeError, match="no storage adapter for 'nope://lake/a"):
            Catalog([Dataset("b", "b.csv"), Dataset("a", "nope://lake/a.csv")])

    def test_a_storage_that_was_given_may_serve_any_scheme(self):
        assert 1 == len(Catalog([Dataset("a", "nope://lake/a")], storage=MemoryStorage()))

    def test_tables_are_asked_of_the_api_that_was_given(self, tmp_path):
        api = MemoryApi(storage=MemoryStorage())
        api.storage.put(Uri.parse("mem://lake/a.csv"), b"id")
        api.register(Registration("people", "mem://lake/a.csv", "csv"))
        catalog = Catalog([Dataset("a", "datlake://people")], cache_dir=tmp_path, api=api)

        assert [api.latest("people").snapshot_id] == [one.version for one in catalog.versions("a")]
        with pytest.raises(ValueError, match="give storage or api"):
            Catalog([], storage=MemoryStorage(), api=api)

    def test_what_is_said_to_be_built_in_is(self):
        assert set(registry._BUILT_IN) == bootstrap._BUILT_IN

    def test_it_says_how_much_it_holds(self):
        one, two = Dataset("a", "a.csv"), Dataset("b", "b.csv")

        assert "Catalog(1 dataset)" == repr(Catalog([one]))
        assert "Catalog(2 datasets)" == repr(Catalog([one, two]))


class TestOpen:
    @pytest.mark.parametrize("path", ["project", "project/catalog.yaml", Path("project")])
    def test_a_catalog_is_opened_by_its_file_or_folder(self, project, path, monkeypatch):
        monkeypatch.chdir(project.parent)

        catalog = Catalog.open(path)

        assert (project / "catalog.yaml", project) == (catalog.file, catalog.root)
        assert ["orders", "customers"] == list(catalog)
        assert Freshness.parse("10m") == catalog["orders"].freshness

    def test_relative_sources_start_at_the_file(self, project, elsewhere):
        assert "id\n" == Catalog.open(project).fetch("orders").read_text()

    def test_the_nearest_catalog_upward_is_opened(self, project, monkeypatch):
        monkeypatch.chdir(project / "data")

        assert project == Catalog.open().root

    def test_the_environment_names_a_catalog(self, project, elsewhere, monkeypatch):
        (elsewhere / "catalog.yaml").write_text("version: 1\ndatasets: {}\n")
        monkeypatch.setenv("DATACACHALOG_CATALOG", str(project))

        assert project == Catalog.open().root

    def test_an_argument_comes_before_the_environment(self, project, elsewhere, monkeypatch):
        monkeypatch.setenv("DATACACHALOG_CATALOG", str(elsewhere))

        assert project == Catalog.open(project).root

    def test_its_lockfile_is_beside_it_and_has_sources_as_it_has_them(self, project, elsewhere):
        (project / "catalog.yaml").write_text(
            "version: 1\ndatasets: {a: {source: data/orders.csv}, b: {source: ../shared.csv}}\n"
        )
        (project.parent / "shared.csv").write_text("1")

        locked = pickle.loads(pickle.dumps(Catalog.open(project))).lock()  # noqa: S301 - our own

        assert (project / "catalog.lock").exists()
        assert ["data/orders.csv", "../shared.csv"] == [one.after.source for one in locked]

    def test_a_catalog_that_is_not_there_is_told(self, elsewhere):
        with pytest.raises(CatalogNotFoundError, match="elsewhere"):
            Catalog.open()

    def test_a_catalog_with_mistakes_is_refused(self, elsewhere):
        (elsewhere / "catalog.yaml").write_text("version: 7\n")

        with pytest.raises(CatalogInvalidError):
            Catalog.open()

    @pytest.mark.parametrize(
        ("environ", "call", "expected"),
        [
            (None, None, "project/.cache"),
            ("/environment", None, "/environment"),
            (None, "/call", "/call"),
            ("/environment", "/call", "/call"),
        ],
    )
    def test_the_cache_is_the_calls_or_the_environments_or_the_files(
        self, project, environ, call, expected, monkeypatch
    ):
        if environ:
            monkeypatch.setenv("DATACACHALOG_CACHE_DIR", environ)

        catalog = Catalog.open(project, cache_dir=call)

        assert project.parent / expected == cache_root(catalog)

    def test_the_durability_is_the_environments_or_the_files(self, project, monkeypatch):
        text = (project / "catalog.yaml").read_text()
        (project / "catalog.yaml").write_text(
            text.replace("cache:\n", "cache:\n  durability: none\n")
        )

        of_the_file = Catalog.open(project)
        monkeypatch.setenv("DATACACHALOG_DURABILITY", "strict")

        assert Durability.NONE is durability_of(of_the_file)
        assert Durability.STRICT is durability_of(Catalog.open(project))

    def test_options_of_the_storage_section_reach_the_adapter(self, project):
        catalog = Catalog.open(project)

        identity = catalog.storage.identity(catalog["customers"].source)

        assert "http://127.0.0.1:9000" in identity

    def test_it_says_which_file_it_is_of(self, project):
        file = str(project / "catalog.yaml")

        assert f"Catalog({file!r}, 2 datasets)" == repr(Catalog.open(project))

    def test_sources_that_nothing_serves_are_mistakes_of_the_file(self, elsewhere):
        (elsewhere / "catalog.yaml").write_text(
            "version: 1\ndatasets:\n  a: {source: gs://b/a}\n  b: {source: https://h/b}\n"
        )

        with pytest.raises(CatalogInvalidError) as caught:
            Catalog.open()

        assert ["catalog.yaml:3", "catalog.yaml:4"] == [one[:14] for one in caught.value.problems]

    def test_a_folder_that_was_removed_has_no_catalog(self, elsewhere):
        elsewhere.rmdir()

        with pytest.raises(CatalogNotFoundError, match="removed"):
            Catalog.open()

    def test_a_named_catalog_is_opened_from_a_folder_that_was_removed(self, project, elsewhere):
        elsewhere.rmdir()

        assert "id\n" == Catalog.open(project).fetch("orders").read_text()


class TestPickling:
    def test_a_catalog_travels_with_its_settings(self, project, elsewhere):
        catalog = Catalog.open(project, cache_dir="kept")

        again = travelled(catalog)

        assert type(catalog) is type(again)
        assert catalog.datasets == again.datasets
        assert (catalog.file, cache_root(catalog)) == (again.file, cache_root(again))
        assert _identities(catalog) == _identities(again)

    def test_a_used_catalog_travels_too(self, project):
        catalog = Catalog.open(project)
        path = catalog.fetch("orders")

        again = travelled(catalog)

        assert (Outcome.CACHED, path) == (again.obtain("orders").outcome, again.fetch("orders"))

    def test_a_catalog_arrives_in_another_process_of_another_folder(self, project, monkeypatch):
        monkeypatch.chdir(project)
        catalog = Catalog([Dataset("orders", "data/orders.csv")], cache_dir="kept")
        monkeypatch.chdir("/")

        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            path = pool.submit(catalog.fetch, "orders").result()

        assert path == catalog.fetch("orders")
        assert project / "kept" in path.parents

    def test_a_kind_of_ones_own_arrives_as_it_is(self, project):
        again = travelled(OurCatalog.open(project))

        assert OurCatalog is type(again)


def travelled(catalog):
    return pickle.loads(pickle.dumps(catalog))  # noqa: S301 - our own bytes


class OurCatalog(Catalog):
    """What somebody may make of it."""


def _identities(catalog):
    return [catalog.storage.identity(dataset.source) for dataset in catalog.datasets]


class Screen(io.StringIO):
    def isatty(self):
        return True


class TestProgress:
    @pytest.fixture
    def shown(self, project, monkeypatch):
        """Whether a fetch imports what draws, with a standard error of our choice."""

        def shown(stream):
            monkeypatch.setattr(sys, "stderr", stream)
            monkeypatch.delitem(sys.modules, "datacachalog.adapters.progress", raising=False)
            path = project / "data" / "orders.csv"
            Catalog([Dataset("a", path)], cache_dir=project / "kept").fetch("a")
            return "datacachalog.adapters.progress" in sys.modules

        return shown

    @pytest.fixture(autouse=True)
    def outside_of_ci(self, monkeypatch):
        monkeypatch.delenv("CI", raising=False)

    def test_a_terminal_shows_it(self, shown):
        assert shown(Screen())

    def test_a_pipe_does_not(self, shown):
        assert not shown(io.StringIO())

    def test_a_notebook_does(self, shown, monkeypatch):
        class ZMQInteractiveShell:
            """What `get_ipython()` is, in a notebook."""

        ipython = ModuleType("IPython")
        vars(ipython)["get_ipython"] = ZMQInteractiveShell
        monkeypatch.setitem(sys.modules, "IPython", ipython)

        assert shown(io.StringIO())

    def test_a_wish_beats_what_is_guessed(self, shown, monkeypatch):
        monkeypatch.setenv("DATACACHALOG_PROGRESS", "0")

        assert not shown(Screen())

    def test_a_process_without_standard_error_does_not(self, shown):
        assert not shown(None)

    def test_a_closed_standard_error_does_not(self, shown):
        stream = io.StringIO()
        stream.close()

        assert not shown(stream)

    def test_a_standard_error_that_can_only_be_written_to_does_not(self, shown):
        class Log:
            def write(self, text):
                """Keeps a log, say."""

        assert not shown(Log())


def loaded(code, **environ):
    """The names of all modules that `code` brings into a new interpreter."""
    before = "import json, sys; before = set(sys.modules)"
    after = "print(json.dumps(sorted({*sys.modules} - before)))"
    done = subprocess.run(
        [sys.executable, "-c", f"{before}\n{code}\n{after}"],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_an_import_loads_nothing_heavy():
    modules = loaded("import datacachalog; datacachalog.Catalog")

    assert set() == modules & (HEAVY | LAZY)


def test_a_fetch_of_a_file_loads_nothing_heavy(project):
    code = """
import os
from datacachalog import Catalog, Dataset
catalog = Catalog([Dataset("a", os.environ["SOURCE"])], cache_dir=os.environ["KEPT"])
catalog.fetch("a"), catalog.fetch("a"), catalog.status()
"""
    source, kept = str(project / "data" / "orders.csv"), str(project / "kept")

    assert set() == loaded(code, SOURCE=source, KEPT=kept) & (HEAVY | LAZY)


def test_public_names_are_sorted_and_there():
    assert sorted(datacachalog.__all__) == datacachalog.__all__
    assert [] == [name for name in datacachalog.__all__ if not hasattr(datacachalog, name)]


class TestView:
    def test_a_catalog_file_may_name_one(self, project):
        (project / "catalog.yaml").write_text(f"{YAML}view: links\n")

        path = Catalog.open(project).fetch("orders")

        assert path == (project / "links" / "orders.csv").readlink()

    def test_a_relative_one_starts_at_the_current_folder(self, project, elsewhere):
        orders = Dataset("orders", project / "data" / "orders.csv")
        catalog = Catalog([orders], cache_dir=".cache", view="../elsewhere/links")

        catalog.fetch("orders")

        assert "id\n" == (elsewhere / "links" / "orders.csv").read_text()

    def test_it_travels_to_other_processes(self, project, elsewhere):
        orders = Dataset("orders", project / "data" / "orders.csv")
        catalog = Catalog([orders], cache_dir=".cache", view="links")

        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            catalog.fetch_all(executor=pool)

        assert "id\n" == (elsewhere / "links" / "orders.csv").read_text()

    @pytest.mark.parametrize(
        ("view", "problem"),
        [
            ("", "view is empty"),
            (".cache", "view is a cache folder"),
            ("links/../.cache/links", "view is inside of a cache folder"),
        ],
    )
    def test_some_folders_cannot_be_one(self, elsewhere, view, problem):
        with pytest.raises(SettingError, match=f"^{problem}"):
            Catalog([], cache_dir=".cache", view=view)

    def test_the_cache_of_the_environment_is_none_either(self, project, monkeypatch):
        (project / "catalog.yaml").write_text(f"{YAML}view: links\n")
        monkeypatch.setenv("DATACACHALOG_CACHE_DIR", str(project / "links"))

        with pytest.raises(SettingError, match="is a cache folder"):
            Catalog.open(project)

    def test_links_that_would_be_one_are_refused(self, elsewhere):
        with pytest.raises(DatasetNameError, match="in the view"):
            Catalog([Dataset("a", "x.csv"), Dataset("A", "y.csv")], view="links")

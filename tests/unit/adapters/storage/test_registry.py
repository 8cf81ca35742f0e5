"""Which adapter serves a scheme: ours for ours, and installed packages for the others."""

from __future__ import annotations

import pytest

from datacachalog.adapters.storage.filesystem import FilesystemStorage
from datacachalog.adapters.storage.memory import MemoryStorage
from datacachalog.adapters.storage.registry import StorageSettings, adapter_for, storage_of
from datacachalog.adapters.storage.retrying import RetryingStorage
from datacachalog.domain.errors import UnsupportedSchemeError
from datacachalog.domain.storage_options import StorageOptions
from datacachalog.domain.uri import Uri

PLUGIN = """
from datacachalog.adapters.storage.memory import MemoryStorage

class LakeStorage(MemoryStorage):
    def __init__(self, settings):
        super().__init__()
        self.settings = settings
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a package that offers an adapter for the schemes that are named."""

    def install(*schemes):
        package = tmp_path / "datacachalog_lake-1.0.dist-info"
        package.mkdir()
        (package / "METADATA").write_text("Metadata-Version: 2.1\nName: datacachalog-lake\n")
        lines = [f"{scheme} = datacachalog_lake_plugin:LakeStorage" for scheme in schemes]
        (package / "entry_points.txt").write_text(
            "\n".join(["[datacachalog.storage]", *lines]) + "\n"
        )
        (tmp_path / "datacachalog_lake_plugin.py").write_text(PLUGIN)
        monkeypatch.syspath_prepend(tmp_path)

    return install


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        (Uri.of_path("/data/a"), FilesystemStorage),
        (Uri.of_path("a"), FilesystemStorage),
        (Uri("s3", "lake", "a"), RetryingStorage),
    ],
)
def test_built_in_schemes_are_served(uri, kind):
    assert kind is type(adapter_for(uri, StorageSettings()))


@pytest.mark.parametrize("scheme", ["nope", "http", "gs"])
def test_an_unknown_scheme_is_told_with_those_that_are_known(scheme):
    with pytest.raises(UnsupportedSchemeError) as caught:
        adapter_for(Uri(scheme, "lake", "a"), StorageSettings())

    built_in = "(built in: file://, s3://, datlake://)"
    assert f"no storage adapter for '{scheme}://lake/a' {built_in}" == str(caught.value)


def test_an_installed_package_serves_its_scheme(install):
    install("lake")
    settings = StorageSettings({"lake://": StorageOptions(region="eu-west-1")}, {"A": "b"})

    adapter = adapter_for(Uri("lake", "a", "b"), settings)

    assert isinstance(adapter, MemoryStorage)
    assert settings is vars(adapter)["settings"]


def test_an_installed_package_takes_over_no_scheme_of_ours(install):
    install("s3", "file")

    kinds = {
        type(adapter_for(uri, StorageSettings()))
        for uri in (Uri.of_path("/a"), Uri("s3", "b", "c"))
    }

    assert {FilesystemStorage, RetryingStorage} == kinds


def test_one_storage_serves_all(install, tmp_path):
    install("lake")
    (tmp_path / "a").write_bytes(b"file")
    storage = storage_of(StorageSettings())
    uri = Uri("lake", "bucket", "a")

    storage.upload(tmp_path / "a", uri)

    assert [b"file"] * 2 == [
        storage.read(uri, 0, 10),
        storage.read(Uri.of_path(str(tmp_path / "a")), 0, 10),
    ]
    assert "s3://lake/a" == storage.identity(Uri("s3", "lake", "a"))

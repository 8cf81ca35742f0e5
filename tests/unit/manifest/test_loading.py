"""A catalog file becomes datasets, or one error that says all that is wrong with it."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from datacachalog.domain.dataset import Dataset
from datacachalog.domain.errors import CatalogInvalidError, CatalogNotFoundError
from datacachalog.domain.housekeeping import Bounds
from datacachalog.domain.storage_options import StorageOptions
from datacachalog.domain.uri import Uri
from datacachalog.manifest import Manifest, load
from tests.unit.manifest.catalogs import declared

WHOLE = """\
version: 1
cache:
  dir: .cache/data
defaults:
  freshness: 10m
storage:
  s3://:
    endpoint_url: http://127.0.0.1:9000
    addressing_style: path
  S3://open-data/:
    anonymous: true
    region: us-east-1
  s3://private:
    profile: analyst
    allow_http: false
datasets:
  customers:
    source: s3://lake/customers/customers.parquet
    description: One row per customer
    tags: [sales, "2024"]
  orders:
    source: data/../orders.csv
    freshness: never
    push: false
  absolute:
    source: /srv/data/a file.csv
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "catalog.yaml"


def test_a_whole_catalog_is_read(file: Path):
    file.write_text(WHOLE)

    found = load(file, {})

    root = file.parent
    datasets = (
        Dataset(
            "customers",
            "s3://lake/customers/customers.parquet",
            description="One row per customer",
            tags=("sales", "2024"),
            freshness="10m",
        ),
        Dataset("orders", root / "orders.csv", freshness="never", push=False),
        Dataset("absolute", "/srv/data/a file.csv", freshness="10m"),
    )
    storage = {
        "s3://": StorageOptions(
            endpoint_url="http://127.0.0.1:9000", addressing_style="path", allow_http=None
        ),
        "s3://open-data": StorageOptions(anonymous=True, region="us-east-1"),
        "s3://private": StorageOptions(profile="analyst", allow_http=False),
    }
    sources = {
        "customers": Uri("s3", "lake", "customers/customers.parquet"),
        "orders": Uri("file", "", "orders.csv"),
        "absolute": Uri("file", "", "/srv/data/a file.csv"),
    }
    folder = root / ".cache" / "data"
    assert Manifest(file, root, datasets, folder, storage, Bounds(), (), sources) == found


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\n",
        "version: 1\ndatasets: {}\n",
        "version: 1\ncache:\ndefaults:\nstorage:\ndatasets:\n",
        "version: 1\nstorage:\n  s3://:\n",
        "\ufeff# a comment\n---\nversion: 1\n...\n",
        "version: !!int 1\ndatasets: !!map {}\n",
        '{"version": 1, "datasets": {}}',
    ],
)
def test_a_catalog_may_be_nearly_empty(text: str):
    assert () == declared(text).datasets


def test_an_alias_stands_for_what_its_anchor_names():
    text = """\
version: 1
datasets:
  a: {source: s3://lake/a.csv, tags: &tags [daily], description: &what Things}
  b: {source: s3://lake/b.csv, tags: *tags, description: *what}
"""
    assert [("daily",), ("daily",)] == [dataset.tags for dataset in declared(text).datasets]


def test_datasets_keep_the_order_of_the_file():
    text = "version: 1\ndatasets: {b: {source: b.csv}, a: {source: a.csv}, no: {source: no.csv}}"
    assert ["b", "a", "no"] == [dataset.name for dataset in declared(text).datasets]


def test_defaults_may_stand_after_the_datasets():
    text = "datasets: {a: {source: a.csv}}\ndefaults: {freshness: never}\nversion: 1"
    assert "never" == str(declared(text).datasets[0].freshness)


def test_a_relative_file_makes_an_absolute_manifest(file: Path, monkeypatch: pytest.MonkeyPatch):
    file.write_text(WHOLE)
    monkeypatch.chdir(file.parent)

    found = load(Path("catalog.yaml"), {})

    assert (file, file.parent) == (found.file, found.root)


def test_a_manifest_pickles(file: Path):
    file.write_text(WHOLE)
    found = load(file, {})

    assert found == pickle.loads(pickle.dumps(found))  # noqa: S301 - made in the line itself


def test_a_mistake_names_the_file_as_the_user_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "prod.yaml").write_text("version: 1\nenvironments: links")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(CatalogInvalidError) as caught:
        load(Path("conf/prod.yaml"), {})

    assert "conf/prod.yaml:2: 'environments' is not supported yet" == str(caught.value)


def test_several_mistakes_are_one_error(file: Path):
    file.write_text("environments: links\nversion: 1\ncahce: {}")

    with pytest.raises(CatalogInvalidError) as caught:
        load(file, {})

    assert (
        f"2 mistakes in {file}\n"
        "  catalog.yaml:1: 'environments' is not supported yet\n"
        "  catalog.yaml:3: unknown key 'cahce'; did you mean 'cache'?"
    ) == str(caught.value)


def test_every_source_that_nothing_serves_is_a_mistake_with_its_line(file: Path):
    sources = ("gs://lake/a", "s3://lake/b", "s3a://lake/c", "S3N://lake/d", "data/e", "mem://l/f")
    lines = [f"  {source[-1]}: {{source: {source}}}" for source in sources]
    file.write_text("\n".join(["version: 1", "datasets:", *lines]))

    with pytest.raises(CatalogInvalidError) as caught:
        load(file, {}, {"file", "s3", "mem"}.__contains__)

    nobody = "which no storage adapter serves; s3:// and paths are built in"
    assert (
        f"catalog.yaml:3: 'source' in dataset 'a' is on 'gs://', {nobody}",
        "catalog.yaml:5: 'source' in dataset 'c' is on 's3a://'; did you mean 's3://'?",
        "catalog.yaml:6: 'source' in dataset 'd' is on 's3n://'; did you mean 's3://'?",
    ) == caught.value.problems


@pytest.mark.parametrize("name", ["absent.yaml", "catalog.yaml/below", "nul\0.yaml"])
def test_a_file_that_is_not_there_is_not_found(file: Path, name: str):
    file.write_text(WHOLE)

    with pytest.raises(CatalogNotFoundError) as caught:
        load(file.parent / name, {})

    assert f"no catalog.yaml at {str(file.parent / name)!r}" == str(caught.value)


def test_a_folder_is_no_catalog(tmp_path: Path):
    with pytest.raises(CatalogInvalidError) as caught:
        load(tmp_path, {})

    assert f"{tmp_path.name}: is not a regular file" == str(caught.value)


def test_a_pipe_is_refused_without_waiting_for_its_writer(file: Path):
    os.mkfifo(file)

    with pytest.raises(CatalogInvalidError) as caught:
        load(file, {})

    assert "catalog.yaml: is not a regular file" == str(caught.value)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path):
    file = tmp_path / ("x" * 300)

    with pytest.raises(CatalogInvalidError) as caught:
        load(file, {})

    assert f"{file.name}: cannot be read: File name too long" == str(caught.value)

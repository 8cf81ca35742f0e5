"""Which folders may be the view of a catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from datacachalog.domain.errors import CatalogInvalidError
from datacachalog.manifest import load
from tests.unit.manifest.catalogs import declared, mistakes

if TYPE_CHECKING:
    from pathlib import Path


def in_view(path: str, more: str = "") -> str:
    return f"version: 1\nview: {path}\n{more}"


@pytest.mark.parametrize(
    ("written", "folder"),
    [
        ("data", "data"),
        ("data/current/", "data/current"),
        ("./data/../links", "links"),
        ("..data", "..data"),
        ("${LINKS:-links}", "links"),
        ("${PLACE}/links", "there/links"),
    ],
)
def test_a_folder_below_the_catalog_may_be_the_view(written, folder):
    found = declared(in_view(written), PLACE="there")

    assert found.root / folder == found.view


def test_an_absolute_folder_below_the_catalog_may_be_the_view(tmp_path: Path):
    (tmp_path / "catalog.yaml").write_text(in_view(f"{tmp_path}/links"))

    assert tmp_path / "links" == load(tmp_path / "catalog.yaml", {}).view


def test_no_view_is_none():
    assert None is declared("version: 1").view
    assert None is declared(in_view("${LINKS}"), LINKS="").view


OUTSIDE = "is outside of the folder of this file"
ROOT = "is the folder of this file; name one in it"


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("../links", OUTSIDE),
        ("links/../../other", OUTSIDE),
        ("/srv/links", OUTSIDE),
        ("~/links", OUTSIDE),
        ("${UP}/links", OUTSIDE),
        (".", ROOT),
        ("links/..", ROOT),
        ("s3://lake/links", "must be a folder of this machine, not a URI"),
        ("${NOT_SET}", "refers to the variable 'NOT_SET', which is not set"),
        ("'~team/links'", "begins with '~' and a name; only '~/' is known"),
        ("", "is empty"),
        ("[a]", "must be text"),
    ],
)
def test_other_folders_are_refused_with_their_line(written, problem):
    found = mistakes(in_view(written), HOME="/home/you", UP="..")

    assert [f"catalog.yaml:2: 'view' {problem}"] == found


@pytest.mark.parametrize(
    ("view", "cache", "problem"),
    [
        ("links", "links", "is a cache folder"),
        ("links", "data/../links/", "is a cache folder"),
        ("links/here", "links", "is inside of a cache folder"),
    ],
)
def test_the_cache_is_no_view(view, cache, problem):
    text = in_view(view, f"cache: {{dir: {cache}}}\n")

    assert [f"catalog.yaml:2: 'view' {problem}"] == mistakes(text)


def test_a_layer_is_none_either():
    text = in_view("links/here", "cache: {layers: [other, links]}\n")

    assert ["catalog.yaml:2: 'view' is inside of a cache folder"] == mistakes(text)


def test_a_cache_may_be_in_the_view():
    assert None is not declared(in_view("data", "cache: {dir: data/.cache}\n")).view


@pytest.mark.parametrize("target", ["elsewhere", "project/links"])
def test_a_link_that_leads_out_is_no_way_round(tmp_path: Path, target: str):
    """A catalog may come with links; one that leads to itself is nowhere to put links either."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "links").symlink_to(tmp_path / target)
    (project / "catalog.yaml").write_text(in_view("links/here"))

    if target == "elsewhere":
        with pytest.raises(CatalogInvalidError, match=OUTSIDE):
            load(project / "catalog.yaml", {})
    else:
        assert project / "links" / "here" == load(project / "catalog.yaml", {}).view


def test_a_catalog_that_is_reached_by_a_link_may_have_a_view(tmp_path: Path):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "catalog.yaml").write_text(in_view("links"))
    (tmp_path / "here").symlink_to(tmp_path / "project")

    assert tmp_path / "here" / "links" == load(tmp_path / "here" / "catalog.yaml", {}).view


@pytest.mark.parametrize(
    ("one", "other", "link"),
    [
        ("a: {source: x.b.csv}", "a.b: {source: x.csv}", "a.b.csv"),
        ("Sales: {source: x.csv}", "sales: {source: y.csv}", "sales.csv"),
    ],
)
def test_two_datasets_of_one_link_are_refused(one, other, link):
    datasets = f"datasets:\n  {one}\n  {other}\n"
    names = [text.partition(":")[0] for text in (one, other)]

    told = f"would have one link, {link!r}, for the datasets {names[0]!r} and {names[1]!r}"
    assert [f"catalog.yaml:2: 'view' {told}"] == mistakes(in_view("links", datasets))
    assert 2 == len(declared(f"version: 1\n{datasets}").datasets)

"""What links are called, and what is one."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.domain.dataset import Dataset
from datacachalog.domain.uri import Uri
from datacachalog.domain.view import colliding, leads_to_a_copy, link_name, view_problem


@pytest.mark.parametrize(
    ("name", "file", "link"),
    [
        ("customers", "people.parquet", "customers.parquet"),
        ("customers", "people.csv.gz", "customers.csv.gz"),
        ("customers", "people", "customers"),
        ("customers", ".people", "customers"),
        ("customers", "people.", "customers"),
        ("customers", "people..csv", "customers.csv"),
        ("customers", "2024.01.31.csv", "customers.csv"),
        ("customers", "v1.a.b.c.csv", "customers.b.c.csv"),
        ("customers", "people.7z", "customers.7z"),
        ("customers", "people.une note", "customers"),
        ("customers", "people.données", "customers"),
        ("customers", f"people.{'x' * 30}", "customers"),
        ("sales.2024", "sales.csv", "sales.2024.csv"),
        ("customers.csv", "people.csv", "customers.csv"),
        ("customers.gz", "people.csv.gz", "customers.gz.csv.gz"),
    ],
)
def test_a_link_has_the_datasets_name_and_the_files_suffixes(name, file, link):
    assert link == link_name(Dataset(name, Uri("s3", "lake", f"2024.d/{file}")))


@given(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", fullmatch=True),
    st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1),
)
def test_a_link_fits_on_any_disk(name, file):
    link = link_name(Dataset(name, Uri("s3", "lake", file)))

    assert link.startswith(name)
    assert link.isascii()
    assert len(link) <= 255


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("Customers", "a.csv"), ("customers", "b.csv")),
        (("customers", "a.CSV"), ("customers2", "b.csv")),
        (("a", "x.b.csv"), ("a.b", "x.csv")),
        (("a", "x.csv"), ("a.csv", "y.csv")),
    ],
)
def test_two_links_that_are_one_on_some_disk_are_found(one, other):
    datasets = [Dataset(*one), Dataset("between", "x.csv"), Dataset(*other)]

    found = colliding(datasets)

    if other[0] == "customers2":
        assert found is None
    else:
        assert found == (datasets[0], datasets[2], link_name(datasets[2]))


@given(st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1))
def test_where_every_copy_is_is_known_for_one(file):
    uri = Uri("s3", "lake", file)
    with TemporaryDirectory() as folder:
        place = DirectoryCache(Path(folder)).place(str(uri), uri)

    assert leads_to_a_copy(f"{place.folder}/0123456789abcdef/{place.file_name}")


@pytest.mark.parametrize(
    "target",
    [
        "",
        "a.csv",
        "/etc/passwd",
        "/data/objects/a.csv",
        "objects/a.csv-85753e1141fb/0123456789abcdef/a.csv",
        "/c/objects/a.csv-85753e1141fb/0123456789abcdef",
        "/c/objects/a.csv-85753e1141fb/0123456789abcdef/",
        "/c/objects/a.csv-85753e1141fb/0123456789abcdef/a/b",
        "/c/objects/a.csv/0123456789abcdef/a.csv",
    ],
)
def test_no_other_target_is_taken_for_a_copy(target):
    assert not leads_to_a_copy(target)


@pytest.mark.parametrize(
    ("view", "problem"),
    [
        ("/p/cache", "is a cache folder"),
        ("/p/cache/links", "is inside of a cache folder"),
        ("/p", None),
        ("/p/cache2", None),
    ],
)
def test_a_view_is_not_in_the_cache(view, problem):
    assert problem == view_problem(PurePosixPath(view), PurePosixPath("/p/cache"))


@pytest.mark.parametrize(
    ("source", "file_name", "link"),
    [
        ("datlake://sales_q1", "sales_q1.parquet", "sales.parquet"),
        ("datlake://finance.sales@snap-1", "finance.sales.csv.gz", "sales.csv.gz"),
        ("datlake://finance.sales", None, "sales"),
    ],
)
def test_the_link_of_a_table_ends_as_its_file_does(source, file_name, link):
    assert link == link_name(Dataset("sales", source), file_name)


@pytest.mark.parametrize(
    ("other", "is_one"),
    [("sales.parquet", True), ("Sales.csv", True), ("sales.q1", True), ("sales2.csv", False)],
)
def test_a_link_that_a_table_might_have_is_found(other, is_one):
    table, file = Dataset("sales", "datlake://sales"), Dataset(other, "a")

    assert is_one == (colliding([file, table]) is not None)

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacachalog.domain.dataset import Dataset, name_problem, source_problem
from datacachalog.domain.errors import DatasetNameError, InvalidUriError
from datacachalog.domain.freshness import ALWAYS, NEVER, Freshness
from datacachalog.domain.uri import Uri


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", fullmatch=True))
def test_an_ordinary_name_is_fine(name):
    assert None is name_problem(name)


@given(st.text())
def test_no_name_that_is_fine_can_leave_its_folder(name):
    if name_problem(name) is None:
        assert name == PurePosixPath(name).name
        assert name.isascii()
        assert 1 <= len(name) <= 100


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "-rf", "a b", "a\n", "é", "a" * 101])
def test_a_name_that_not_every_disk_can_bear_is_refused(name):
    with pytest.raises(DatasetNameError) as caught:
        Dataset(name, "a.csv")

    assert name == caught.value.name


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("s3://lake/*.csv", "is a pattern; datasets of many files are not supported yet"),
        ("data/a?.csv", "is a pattern; datasets of many files are not supported yet"),
        ("data/[ab].csv", "is a pattern; datasets of many files are not supported yet"),
        ("s3://lake/{day}.csv", "is a template; parameters are not supported yet"),
        ("s3://lake/a/", "is a folder; datasets of many files are not supported yet"),
        ("data/", "is a folder; datasets of many files are not supported yet"),
        ("s3://lake", "names no object, only where to look for one"),
        ("s3://lake/a/../b", "has a '.' or '..' segment"),
        ("", "is empty"),
        ("~/a.csv", "begins with '~', which means nothing here; write the path in full"),
        ("~", "begins with '~', which means nothing here; write the path in full"),
        ("s3:/lake/a", "has no '://' after 's3'; if it is a path, begin it with './'"),
        ("s3:lake/a", "has no '://' after 's3'; if it is a path, begin it with './'"),
        ("S3//lake/a", "has no '://' after 'S3'; if it is a path, begin it with './'"),
        ("s3a:/lake/a", "has no '://' after 's3a'; if it is a path, begin it with './'"),
        ("https:/host/a", "has no '://' after 'https'; if it is a path, begin it with './'"),
        ("file:/data/a", "has no '://' after 'file'; if it is a path, begin it with './'"),
        ("abfss:/lake/a", "has no '://' after 'abfss'; if it is a path, begin it with './'"),
    ],
)
def test_what_is_not_one_object_is_refused(source, problem):
    with pytest.raises(InvalidUriError) as caught:
        Dataset("a", source)

    assert (source, problem) == (caught.value.uri, caught.value.problem)


@pytest.mark.parametrize(
    "source",
    [
        "s3://lake/a.csv",
        "a.csv",
        "/a.csv",
        "file:///a.csv",
        "C:/a.csv",
        "./s3:/lake/a",
        "s3/lake/a",
        "data//a.csv",
        "data/s3:/a",
        "a:b.csv",
        "~a.csv",
    ],
)
def test_one_object_is_fine(source):
    assert None is source_problem(source)


def test_a_dataset_is_what_was_said_of_it():
    dataset = Dataset(
        "customers",
        "s3://lake/customers.parquet",
        description="One row per customer",
        tags=iter(["pii", "crm"]),
        freshness="10m",
        push=False,
    )

    assert "customers" == dataset.name
    assert Uri("s3", "lake", "customers.parquet") == dataset.source
    assert "One row per customer" == dataset.description
    assert ("pii", "crm") == dataset.tags
    assert Freshness(timedelta(minutes=10)) == dataset.freshness
    assert not dataset.push


def test_a_dataset_is_checked_always_and_may_be_pushed_unless_said_otherwise():
    dataset = Dataset("a", "a.csv")

    assert ("", (), ALWAYS, True) == (
        dataset.description,
        dataset.tags,
        dataset.freshness,
        dataset.push,
    )


def test_a_source_may_be_a_path():
    assert Uri.of_path("data/a.csv") == Dataset("a", Path("data/a.csv")).source


@pytest.mark.parametrize("path", [Path("~/a.csv"), Path("s3://lake/a.csv")])
def test_a_path_that_would_be_a_folder_of_an_odd_name_is_refused(path):
    with pytest.raises(InvalidUriError):
        Dataset("a", path)


def test_a_source_that_is_an_address_already_is_taken_as_it_is():
    uri = Uri("s3", "lake", "what*a{name}")

    assert uri is Dataset("a", uri).source


def test_a_freshness_may_be_a_policy():
    assert NEVER == Dataset("a", "a.csv", freshness=NEVER).freshness


def test_a_freshness_may_be_a_time():
    assert (
        Freshness.parse("10m") == Dataset("a", "a.csv", freshness=timedelta(minutes=10)).freshness
    )


def test_a_freshness_below_zero_is_refused():
    with pytest.raises(ValueError, match="freshness must not be negative"):
        Dataset("a", "a.csv", freshness=timedelta(seconds=-1))


@pytest.mark.parametrize("freshness", [600, None, 1.5])
def test_a_freshness_of_another_type_is_refused(freshness):
    with pytest.raises(TypeError, match="freshness must be a str, a timedelta or a Freshness"):
        Dataset("a", "a.csv", freshness=freshness)


def test_a_freshness_that_is_no_policy_is_refused():
    with pytest.raises(ValueError, match="must be always, never or a duration"):
        Dataset("a", "a.csv", freshness="sometimes")


def test_a_dataset_cannot_be_changed():
    dataset = Dataset("a", "a.csv")

    with pytest.raises(AttributeError):
        dataset.name = "b"  # type: ignore[misc]  # that it cannot be is the point


def test_equal_datasets_are_equal():
    assert Dataset("a", "a.csv", tags=["x"]) == Dataset("a", "./a.csv", tags=("x",))
    assert hash(Dataset("a", "a.csv")) == hash(Dataset("a", "a.csv"))


def test_a_dataset_with_a_base_keeps_all_else():
    like = partial(Dataset, "a", description="d", tags=("t",), freshness=NEVER, push=False)

    moved = like("a.csv").starting_at(PurePosixPath("/project"))

    assert like("/project/a.csv") == moved

from __future__ import annotations

import inspect
import pickle
from pathlib import Path

import pytest

from datacachalog.domain import errors
from datacachalog.domain.errors import (
    CacheError,
    CatalogInvalidError,
    CatalogNotFoundError,
    ConflictError,
    DatacachalogError,
    DatasetNameError,
    DatasetNotFoundError,
    FetchAllError,
    InvalidUriError,
    LocalFileError,
    NotAnObjectError,
    ObjectNotFoundError,
    ReadOnlyDatasetError,
    RemoteChangedError,
    SettingError,
    StorageError,
)

CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, DatacachalogError)
]


def example(kind):
    """An error as it is raised."""
    if issubclass(kind, StorageError):
        return kind("s3://lake/a.csv", "the detail")
    if issubclass(kind, CacheError):
        return kind("/cache", "the detail")
    arguments = {
        CatalogNotFoundError: ("in '/project' or above",),
        CatalogInvalidError: ("catalog.yaml", ("catalog.yaml:1: a problem",)),
        DatasetNotFoundError: ("custmers", ("customers",)),
        DatasetNameError: ("../a", "must be a name"),
        ReadOnlyDatasetError: ("customers",),
        InvalidUriError: ("s3://", "has no bucket or host"),
        SettingError: ("AWS_ENDPOINT_URL", "must be an address such as https://host:port"),
        LocalFileError: ("a.csv", "No such file or directory"),
        ConflictError: ("s3://lake/a.csv", "absent"),
        FetchAllError: ({"b": ObjectNotFoundError("s3://lake/b")}, {"a": Path("/cache/a")}),
    }
    return kind(*arguments.get(kind, ("what happened",)))


def drawn_tree():
    """Each class in the module's drawing, and the one it hangs from."""
    parents: dict[str, str | None] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        name = line.lstrip("│├└─ ").split(" ")[0]
        if name.endswith("Error"):
            depth = line.index(name) // 4
            parents[name] = path[depth - 1] if depth else None
            path[depth:] = [name]
    return parents


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_survives_pickling(kind):
    error = example(kind)

    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes

    assert (kind, str(error), error.hint) == (type(copy), str(copy), copy.hint)
    assert repr(error.__dict__) == repr(copy.__dict__)


@pytest.mark.parametrize("kind", CLASSES)
def test_a_message_is_words_without_a_full_stop(kind):
    error = example(kind)

    assert str(error).strip()
    assert not str(error).endswith(".")


@pytest.mark.parametrize("kind", CLASSES)
def test_a_hint_is_words_without_a_full_stop(kind):
    hint = example(kind).hint

    assert hint is None or (hint.strip() and not hint.endswith("."))


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_is_documented(kind):
    assert kind.__doc__


def test_every_code_is_unique():
    codes = [kind.code for kind in CLASSES]

    assert len(CLASSES) == len(set(codes))
    assert all(code == code.lower().strip("-") for code in codes)


def test_the_drawn_tree_is_the_real_one():
    real = {kind.__name__: kind.__mro__[1].__name__ for kind in CLASSES}

    assert {**real, "DatacachalogError": None} == drawn_tree()


def test_one_mistake_in_a_catalog_needs_no_heading():
    error = CatalogInvalidError("catalog.yaml", ("catalog.yaml:3: 'versoin' is unknown",))

    assert "catalog.yaml:3: 'versoin' is unknown" == str(error)


def test_mistakes_in_a_catalog_are_counted_and_listed():
    error = CatalogInvalidError("catalog.yaml", ("catalog.yaml:3: one", "catalog.yaml:5: two"))

    assert ["2 mistakes in catalog.yaml", "  catalog.yaml:3: one", "  catalog.yaml:5: two"] == (
        str(error).splitlines()
    )


def test_a_name_that_is_nearly_right_gets_a_suggestion():
    assert "did you mean 'a' or 'b'?" == DatasetNotFoundError("c", ("a", "b")).hint


def test_a_name_that_is_like_no_other_gets_the_list():
    assert "'catalog list' shows the names there are" == DatasetNotFoundError("c").hint


def test_details_that_are_not_known_are_left_out():
    assert "there is no object at 's3://lake/a'" == str(ObjectNotFoundError("s3://lake/a"))
    assert "'s3://lake/a' changed while it was read" == str(RemoteChangedError("s3://lake/a"))
    assert "'s3://lake/a' is a folder, not a file" == str(NotAnObjectError("s3://lake/a"))


def test_failures_of_many_are_counted_and_listed():
    error = FetchAllError(
        {"b": ObjectNotFoundError("s3://lake/b"), "c": InvalidUriError("s3://", "has no bucket")},
        {"a": Path("/cache/a")},
    )

    assert [
        "2 of 3 datasets could not be fetched",
        "  b: there is no object at 's3://lake/b'",
        "  c: source 's3://' has no bucket",
    ] == str(error).splitlines()


def test_failures_of_one_kind_share_their_hint():
    missing = {name: ObjectNotFoundError(f"s3://lake/{name}") for name in "ab"}

    assert missing["a"].hint == FetchAllError(missing, {}).hint


def test_failures_of_several_kinds_have_no_hint_in_common():
    failures = {"a": ObjectNotFoundError("s3://lake/a"), "b": ReadOnlyDatasetError("b")}

    assert None is FetchAllError(failures, {}).hint

from __future__ import annotations

import inspect
import pickle
import traceback
from pathlib import Path

import pytest

from datacachalog.domain import errors
from datacachalog.domain.errors import (
    CacheError,
    CachePermissionError,
    CatalogInvalidError,
    CatalogNotFoundError,
    ConflictError,
    DatacachalogError,
    DatasetNameError,
    DatasetNotFoundError,
    FetchAllError,
    InvalidUriError,
    JobFailedError,
    LocalFileError,
    LockfileError,
    LockfileNotFoundError,
    LockMismatchError,
    MissingExtraError,
    NotAnObjectError,
    ObjectNotFoundError,
    QueryError,
    ReadingError,
    ReadOnlyDatasetError,
    RemoteChangedError,
    SettingError,
    StorageAccessError,
    StorageError,
    UnreadableFormatError,
    UnsupportedSchemeError,
    ViewError,
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
        ViewError: ("/project/data/customers.csv", "there is a folder in its place"),
        CatalogNotFoundError: ("in '/project' or above",),
        CatalogInvalidError: ("catalog.yaml", ("catalog.yaml:1: a problem",)),
        DatasetNotFoundError: ("custmers", ("customers",)),
        DatasetNameError: ("../a", "must be a name"),
        ReadOnlyDatasetError: ("customers",),
        InvalidUriError: ("s3://", "has no bucket or host"),
        SettingError: ("AWS_ENDPOINT_URL", "must be an address such as https://host:port"),
        LocalFileError: ("a.csv", "No such file or directory"),
        LockfileError: ("catalog.lock", "a merge conflict is not solved", 3),
        LockfileNotFoundError: ("catalog.lock",),
        LockMismatchError: ("customers", "is not locked", "'catalog lock customers' locks it"),
        ConflictError: ("s3://lake/a.csv", "absent"),
        ReadingError: ("sales", "it has no column 'town'"),
        UnreadableFormatError: ("sales", "avro"),
        QueryError: ("only SELECT is answered here", "duckdb() gives a connection for all else"),
        MissingExtraError: ("SQL", "duckdb", "duckdb"),
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
def test_a_traceback_ends_in_the_hint_and_tells_it_once(kind):
    error = pickle.loads(pickle.dumps(example(kind)))  # noqa: S301 - our own bytes

    *_, last = "".join(traceback.format_exception(error)).splitlines()

    notes = getattr(error, "__notes__", [])
    assert ([f"hint: {error.hint}"] if error.hint else []) == notes
    assert error.hint is None or f"hint: {error.hint}" == last
    assert error.hint is None or error.hint not in str(error)


@pytest.mark.parametrize("kind", CLASSES)
def test_a_hint_names_nothing_that_an_installed_package_has_not(kind):
    assert "docs/" not in (example(kind).hint or "")


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


def test_a_file_whose_name_is_nearly_right_is_pointed_out():
    error = CatalogNotFoundError("in '/project'", "/project/catalog.yml")

    assert "no catalog.yaml in '/project'" == str(error)
    assert (
        "'/project/catalog.yml' is there: call it catalog.yaml, or name it with --catalog"
        == error.hint
    )


@pytest.mark.parametrize(
    ("expected", "found", "hint"),
    [
        (
            '"1"',
            '"2"',
            (
                "bring your change into what catalog.fetch() gives now, and push that, "
                'or overwrite whatever is there with expect="any"'
            ),
        ),
        (
            "absent",
            '"2"',
            (
                'it is there already; push with expect="cached" after catalog.fetch(), '
                'or overwrite whatever is there with expect="any"'
            ),
        ),
        ('"1"', "absent", 'it was deleted; to make it anew, push with expect="absent"'),
    ],
)
def test_the_hint_of_a_conflict_fits_what_was_found(expected, found, hint):
    assert hint == ConflictError("s3://lake/a", expected, found).hint


def test_a_missing_bucket_is_not_looked_for_in_the_key():
    missing = ObjectNotFoundError("s3://lake/a", "no bucket 'lake'")

    assert "check the bucket's name and the endpoint, which 'catalog doctor' shows" == missing.hint
    assert ObjectNotFoundError("s3://lake/a").hint != missing.hint


def test_only_a_folder_is_told_to_hold_files():
    assert "name one file in it" in NotAnObjectError("/data").hint
    assert "name one file in it" in NotAnObjectError("/data", "a folder").hint
    assert (
        "write what comes out of it to a file, and name that one"
        == NotAnObjectError("/dev/zero", "a device or pipe").hint
    )


@pytest.mark.parametrize("scheme", ["s3a", "s3n"])
def test_the_schemes_of_hadoop_are_guessed(scheme):
    error = UnsupportedSchemeError(f"{scheme}://lake/a", "built in: s3://")

    assert "did you mean 's3://'?" == error.hint


@pytest.mark.parametrize("kind", [CacheError, CachePermissionError])
def test_an_unusable_cache_can_be_named_in_three_ways(kind):
    hint = kind("/cache", "no").hint

    assert all(way in hint for way in ("--cache-dir", "DATACACHALOG_CACHE_DIR", "cache.dir"))


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


def test_a_traceback_tells_which_hint_is_for_which_datasets():
    missing = {name: ObjectNotFoundError(f"s3://lake/{name}") for name in "ab"}
    failures = {**missing, "c": ReadOnlyDatasetError("c"), "d": DatasetNameError("d", "is odd")}

    error = FetchAllError(failures, {})

    assert [
        "hint for a, b: check the source in catalog.yaml, and that it was not deleted or renamed",
        "hint for c: its entry in catalog.yaml says 'push: false'",
    ] == error.__notes__


def test_who_may_not_read_a_file_is_not_sent_to_s3():
    assert "permissions of the file" in f"{StorageAccessError('/data/a.csv').hint}"
    assert "credentials" in f"{StorageAccessError('s3://lake/a.csv').hint}"


class TestLockfileErrors:
    def test_a_text_that_is_wrong_is_told_by_its_line(self):
        error = LockfileError("catalog.lock", "not TOML", 3)

        assert "catalog.lock:3: not TOML" == str(error)
        assert "version control" in (error.hint or "")

    def test_where_the_disk_is_at_fault_the_text_need_not_be_mended(self):
        error = LockfileError("catalog.lock", "cannot be written: Permission denied")

        assert ("catalog.lock: cannot be written: Permission denied", None) == (
            str(error),
            error.hint,
        )

    def test_one_that_is_missing_is_told_with_what_writes_it(self):
        error = LockfileNotFoundError("/shop/catalog.lock")

        assert "there is no '/shop/catalog.lock'" == str(error)
        assert "'catalog lock'" in error.hint

    def test_a_catalog_without_a_file_has_none(self):
        error = LockfileNotFoundError()

        assert "a catalog that is made in Python has no lockfile" == str(error)
        assert "catalog.yaml" in error.hint


def test_what_is_no_parquet_may_be_of_a_format_that_nobody_named():
    assert "--format csv" in str(JobFailedError("job-1: it is none", 0, "not_parquet").hint)
    assert None is JobFailedError("job-1: it is gone", 0, "uri_not_found").hint

"""Every error ends in the exit code that is promised for it."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from datacachalog.cli.exits import ExitCode, UsageError, exit_code, worst
from datacachalog.domain import errors

PROMISED = {
    errors.DatacachalogError("odd"): 1,
    errors.CatalogError("odd"): 2,
    errors.CatalogNotFoundError("here"): 2,
    errors.CatalogInvalidError("catalog.yaml", ("wrong",)): 2,
    errors.DatasetNotFoundError("customers"): 3,
    errors.DatasetNameError("..", "is odd"): 2,
    errors.ReadOnlyDatasetError("customers"): 4,
    errors.InvalidUriError("", "is empty"): 2,
    errors.SettingError("AWS_ENDPOINT_URL", "must be an address"): 2,
    errors.LocalFileError("new.csv", "is a folder"): 2,
    errors.LockfileError("catalog.lock", "is a folder"): 2,
    errors.LockfileNotFoundError("catalog.lock"): 8,
    errors.LockMismatchError("customers", "is not locked", "lock it"): 8,
    UsageError("no dataset was named"): 2,
    errors.StorageError("s3://lake/a", "odd"): 6,
    errors.ObjectNotFoundError("s3://lake/a"): 3,
    errors.VersionNotFoundError("s3://lake/a", "'7'"): 3,
    errors.NotAnObjectError("s3://lake/a"): 2,
    errors.StorageAccessError("s3://lake/a", "denied"): 4,
    errors.StorageUnavailableError("s3://lake/a", "timeout"): 6,
    errors.OfflineError("s3://lake/a"): 6,
    errors.RemoteChangedError("s3://lake/a"): 6,
    errors.ObjectReplacedError("datlake://sales", "no"): 7,
    errors.UnsupportedSchemeError("ftp://a", "none"): 2,
    errors.UnsupportedOperationError("s3://lake/a", "no"): 2,
    errors.ConflictError("s3://lake/a", "absent"): 5,
    errors.CacheError("/cache", "odd"): 9,
    errors.CacheFullError("/cache"): 9,
    errors.CachePermissionError("/cache"): 9,
    errors.UnsafeCacheError("/cache"): 9,
    errors.IntegrityError("/cache/a"): 7,
    errors.RegistryError("odd"): 6,
    errors.ReadingError("sales", "is no Parquet"): 7,
    errors.UnreadableFormatError("sales", "avro"): 2,
    errors.QueryError("has no end"): 2,
    errors.MissingExtraError("reading", "polars", "polars"): 2,
    errors.ApiError("odd"): 6,
    errors.ConfigurationError("no key is known"): 2,
    errors.AuthError("no valid key"): 4,
    errors.ForbiddenError("not granted"): 4,
    errors.NotFoundError("no table"): 3,
    errors.ApiConflictError("another one is current"): 5,
    errors.ValidationError("no name"): 2,
    errors.TransientError("not now"): 6,
    errors.TransientNetworkError("no answer"): 6,
    errors.ApiOfflineError("not asked"): 6,
    errors.RateLimitedError("too many"): 6,
    errors.ServerError("it failed"): 6,
    errors.RunStateError("it is over"): 2,
    errors.JobFailedError("no Parquet", code="not_parquet"): 7,
    errors.ViewError("/project/data/a.csv", "a folder is in its place"): 9,
    errors.FetchAllError({"a": errors.CacheFullError("/cache")}, {}): 9,
}
ABSENT = errors.ObjectNotFoundError("s3://lake/a")
DOWN = errors.StorageUnavailableError("s3://lake/b")


def tree(root: type[errors.DatacachalogError]) -> set[type[errors.DatacachalogError]]:
    return {root}.union(*map(tree, root.__subclasses__()))


def ours() -> set[type[errors.DatacachalogError]]:
    """Those of the library itself; a server's are told by their status."""
    of_others = "datacachalog.server."
    return {
        one
        for one in tree(errors.DatacachalogError)
        if one.__module__.startswith("datacachalog.") and not one.__module__.startswith(of_others)
    }


@pytest.mark.parametrize("error", PROMISED, ids=lambda error: type(error).__name__)
def test_an_error_ends_in_the_code_that_is_promised_for_it(error):
    assert PROMISED[error] == exit_code(error)


@pytest.mark.parametrize(
    ("code", "promised"),
    [
        ("uri_not_found", ExitCode.NOT_FOUND),
        ("location_forbidden", ExitCode.NOT_ALLOWED),
        ("forbidden", ExitCode.NOT_ALLOWED),
        ("parent_conflict", ExitCode.CONFLICT),
        ("internal", ExitCode.UNREACHABLE),
        ("worker_lost", ExitCode.UNREACHABLE),
        ("schema_incompatible", ExitCode.INTEGRITY),
    ],
)
def test_a_registration_that_failed_ends_in_the_code_of_its_reason(code, promised):
    assert promised is exit_code(errors.JobFailedError("it failed", 0, code))


@pytest.mark.parametrize("status", [200, 403, 404, 500])
def test_what_is_no_registry_cannot_say_that_something_is_not_there(status):
    assert ExitCode.UNREACHABLE is exit_code(errors.ServerError("a page of a proxy", status))


def test_every_error_of_the_tree_has_a_promised_code():
    assert ours() == {type(error) for error in PROMISED}


def test_an_error_of_another_package_has_the_code_of_its_nearest_ancestor():
    class TapeAccessError(errors.StorageAccessError):
        """The robot refuses."""

    assert ExitCode.NOT_ALLOWED is exit_code(TapeAccessError("tape://1/a"))


def test_failures_of_one_kind_end_in_its_code():
    several = errors.FetchAllError({"a": DOWN, "b": DOWN}, {"c": Path("c")})

    assert ExitCode.UNREACHABLE is exit_code(several)


@pytest.mark.parametrize("failures", [[ABSENT, DOWN], [DOWN, ABSENT]])
def test_unreachable_is_told_only_where_trying_again_can_help_all(failures):
    assert ExitCode.NOT_FOUND is worst(failures)


def test_wrong_bytes_come_before_everything_but_a_bug():
    everything = [error for error in PROMISED if exit_code(error) is not ExitCode.BUG]

    assert ExitCode.INTEGRITY is worst(everything)


def test_no_failures_are_success():
    assert ExitCode.DONE is worst([])


def test_a_usage_error_pickles():
    error = pickle.loads(pickle.dumps(UsageError("no", "do")))  # noqa: S301 - our own bytes

    assert ("no", "do") == (str(error), error.hint)

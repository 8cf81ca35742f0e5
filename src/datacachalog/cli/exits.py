"""Exit codes: what each of them promises to scripts, and which error ends in which.

A mixture of failures ends in the code that needs a person most. Only where *every* failure is
`UNREACHABLE` is the code 6, so that a script may take 6 for "the same command may work later".
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from datacachalog.domain import errors

if TYPE_CHECKING:
    from collections.abc import Iterable


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    BUG = 1
    """Something that nobody foresaw; `DATACACHALOG_DEBUG=1` shows where."""
    USAGE = 2
    """The command line or catalog.yaml asks for something that cannot be."""
    NOT_FOUND = 3
    """There is no such dataset, object or version."""
    NOT_ALLOWED = 4
    """The store, or the catalog, refuses it."""
    CONFLICT = 5
    """Somebody else pushed meanwhile; nothing was written."""
    UNREACHABLE = 6
    """The store did not give it now; the same command may work later."""
    INTEGRITY = 7
    """Bytes are not what they should be; none of them was handed out."""
    STALE = 8
    """What was checked does not fit: a copy with its store, or the lockfile with what is there."""
    CACHE = 9
    """The cache or the view is full or may not be written."""
    INTERRUPTED = 130
    """Ctrl-C (128 and SIGINT's number)."""
    PIPE_CLOSED = 141
    """Whoever read the output went away (128 and SIGPIPE's number)."""
    TERMINATED = 143
    """128 and SIGTERM's number."""


class UsageError(errors.CatalogError):
    """The command line asks for something that cannot be."""

    code = "usage"

    def __init__(self, message: str, hint: str | None = None) -> None:
        self._message, self._advice = message, hint
        super().__init__(message, hint)

    def __str__(self) -> str:
        return self._message

    @property
    def hint(self) -> str | None:
        return self._advice


_CODES: dict[type[errors.DatacachalogError], ExitCode] = {
    errors.DatacachalogError: ExitCode.BUG,
    errors.CatalogError: ExitCode.USAGE,
    errors.CatalogNotFoundError: ExitCode.USAGE,
    errors.CatalogInvalidError: ExitCode.USAGE,
    errors.DatasetNotFoundError: ExitCode.NOT_FOUND,
    errors.DatasetNameError: ExitCode.USAGE,
    errors.ReadOnlyDatasetError: ExitCode.NOT_ALLOWED,
    errors.InvalidUriError: ExitCode.USAGE,
    errors.SettingError: ExitCode.USAGE,
    errors.LocalFileError: ExitCode.USAGE,
    errors.LockfileError: ExitCode.USAGE,
    errors.LockfileNotFoundError: ExitCode.STALE,
    errors.LockMismatchError: ExitCode.STALE,
    UsageError: ExitCode.USAGE,
    errors.StorageError: ExitCode.UNREACHABLE,
    errors.ObjectNotFoundError: ExitCode.NOT_FOUND,
    errors.VersionNotFoundError: ExitCode.NOT_FOUND,
    errors.NotAnObjectError: ExitCode.USAGE,
    errors.StorageAccessError: ExitCode.NOT_ALLOWED,
    errors.StorageUnavailableError: ExitCode.UNREACHABLE,
    # No wrong byte was handed out, and it works when the writer has finished: not integrity.
    errors.RemoteChangedError: ExitCode.UNREACHABLE,
    errors.ObjectReplacedError: ExitCode.INTEGRITY,
    errors.UnsupportedSchemeError: ExitCode.USAGE,
    errors.UnsupportedOperationError: ExitCode.USAGE,
    errors.ConflictError: ExitCode.CONFLICT,
    errors.CacheError: ExitCode.CACHE,
    errors.CacheFullError: ExitCode.CACHE,
    errors.CachePermissionError: ExitCode.CACHE,
    errors.UnsafeCacheError: ExitCode.CACHE,
    errors.IntegrityError: ExitCode.INTEGRITY,
    errors.ViewError: ExitCode.CACHE,
    errors.ReadingError: ExitCode.INTEGRITY,
    errors.UnreadableFormatError: ExitCode.USAGE,
    errors.QueryError: ExitCode.USAGE,
    errors.MissingExtraError: ExitCode.USAGE,
}

_BY_STATUS = {
    400: ExitCode.USAGE,
    401: ExitCode.NOT_ALLOWED,
    403: ExitCode.NOT_ALLOWED,
    404: ExitCode.NOT_FOUND,
    409: ExitCode.CONFLICT,
    412: ExitCode.CONFLICT,
    413: ExitCode.USAGE,
    422: ExitCode.USAGE,
}
"""Of what a registry refuses; everything else may work later."""

_BY_JOB = {
    "uri_not_found": ExitCode.NOT_FOUND,
    "location_forbidden": ExitCode.NOT_ALLOWED,
    "forbidden": ExitCode.NOT_ALLOWED,
    "parent_conflict": ExitCode.CONFLICT,
    "internal": ExitCode.UNREACHABLE,
    "worker_lost": ExitCode.UNREACHABLE,
}
"""Of a registration that failed; everything else is about the bytes."""

_NEEDS_A_PERSON = (
    ExitCode.BUG,
    ExitCode.INTEGRITY,
    ExitCode.USAGE,
    ExitCode.NOT_ALLOWED,
    ExitCode.NOT_FOUND,
    ExitCode.CONFLICT,
    ExitCode.STALE,
    ExitCode.CACHE,
    ExitCode.UNREACHABLE,
)


def exit_code(error: errors.DatacachalogError) -> ExitCode:
    """The code that a command ends with when this error ends it.

    A class that is not in the table, such as another package's, has its nearest ancestor's code.

    >>> exit_code(errors.DatasetNotFoundError("custmers")).name
    'NOT_FOUND'
    """
    if isinstance(error, errors.FetchAllError):
        return worst(error.failures.values())
    if isinstance(error, errors.ConfigurationError | errors.RunStateError):
        return ExitCode.USAGE
    if isinstance(error, errors.ServerError):  # also a page with a status that is a registry's
        return ExitCode.UNREACHABLE
    if isinstance(error, errors.JobFailedError):
        return _BY_JOB.get(error.code, ExitCode.INTEGRITY)
    if isinstance(error, errors.RegistryError):
        return _BY_STATUS.get(error.status, ExitCode.UNREACHABLE)
    return next(_CODES[cls] for cls in type(error).__mro__ if cls in _CODES)


def worst(failures: Iterable[errors.DatacachalogError]) -> ExitCode:
    """The one code for several errors: the one that needs a person most; `DONE` for none."""
    return min(map(exit_code, failures), key=_NEEDS_A_PERSON.index, default=ExitCode.DONE)

"""obstore's errors in our words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    GenericError,
    InvalidPathError,
    NotModifiedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)

from datacachalog.adapters.storage.s3_answers import (
    ANOTHER_HOST,
    EXPIRED,
    NO_AUTHORITY,
    NO_S3_ANSWER,
    NO_TLS,
    NO_TRUST,
)
from datacachalog.adapters.storage.transfer import (
    AnswerError,
    ObjectChangedError,
    RangeIgnoredError,
)
from datacachalog.domain.errors import (
    InvalidUriError,
    ObjectNotFoundError,
    StorageAccessError,
    StorageUnavailableError,
    VersionNotFoundError,
)

if TYPE_CHECKING:
    from datacachalog.domain.errors import StorageError
    from datacachalog.domain.uri import Uri

_OBSTORE_ERRORS = (FileNotFoundError, ValueError, BaseError)
_STATUS = re.compile(r"status code: (\d{3})")
_ANSWER = re.compile(r"(status code: \d{3}[^:\n]*).*", re.DOTALL)
# What nginx, Go and Apache say to plain HTTP at a port for TLS.
_WANTS_TLS = re.compile(r"HTTP request.{0,10} to (an )?HTTPS|plain HTTP to an SSL", re.IGNORECASE)
_S3_ERROR = re.compile(r"<Code>(\w+)</Code>(?:\s*<Message>([^<]*)</Message>)?")

_ONLY_TLS = "it does not speak plain HTTP; does its address begin with https://?"
_TOO_LATE = "it did not answer in time"
_CAUSES = (  # what obstore's text has in it, in small letters
    ("dns error", "its name cannot be resolved"),
    ("failed to lookup", "its name cannot be resolved"),
    ("connection refused", "the connection was refused"),
    ("timed out", _TOO_LATE),
    ("kind: timeout", _TOO_LATE),
    ("timedout", _TOO_LATE),
    ("invalidcontenttype", NO_TLS),
    ("invalid http version", _ONLY_TLS),
    ("no ca certificates", NO_AUTHORITY),
    ("expiredcontext", EXPIRED),
    ("notvalidforname", ANOTHER_HOST),
    ("invalidcertificate", NO_TRUST),
    ("invalid list response", NO_S3_ANSWER),
)


class UnmodifiedError(AnswerError):
    """304."""


class BeyondEndError(AnswerError):
    """416."""


class translated:  # noqa: N801 - it is called as a function, and a generator takes thrice as long
    """Turns obstore's errors into the storage port's, or into the few that callers here handle."""

    __slots__ = ("_uri", "_version")

    def __init__(self, uri: Uri, version: str | None = None) -> None:
        self._uri, self._version = uri, version

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None:
            return
        if isinstance(error, NotModifiedError):  # the usual answer, before what costs more
            raise UnmodifiedError from error
        if isinstance(error, _OBSTORE_ERRORS):
            translation = _translation(self._uri, self._version, error)
            raise translation from _without_answer(error)
        if type(error).__module__ == "pyo3_runtime":
            # A panic of obstore, which no `except Exception` would see.
            raise InvalidUriError(str(self._uri), "is nothing that can be asked for") from error


def _translation(uri: Uri, version: str | None, error: Exception) -> Exception:
    """The storage port's error for one of obstore's, or one of the few that callers handle."""
    match error:
        case FileNotFoundError():
            return _not_found(uri, version, str(error))
        case PreconditionError() | AlreadyExistsError():
            return ObjectChangedError()
        case PermissionDeniedError() | UnauthenticatedError():
            return StorageAccessError(str(uri), _detail(str(error)))
        case InvalidPathError() | ValueError():
            return InvalidUriError(str(uri), "is no key that can be asked for")
        case GenericError() if _WANTS_TLS.search(str(error)):
            return StorageUnavailableError(str(uri), _ONLY_TLS)
        case _:
            return _generic(uri, version, error)


def _without_answer(error: Exception) -> Exception:
    """The error less the server's answer in its text: AWS repeats a token there that it refuses."""
    error.args = (_ANSWER.sub(r"\1", str(error)),)
    return error


def _not_found(uri: Uri, version: str | None, text: str) -> StorageError:
    code = _code(text)
    if code is None and "performing GET http" in text:  # S3 says why, but to HEAD
        return StorageUnavailableError(str(uri), NO_S3_ANSWER)
    if code == "NoSuchBucket":
        return ObjectNotFoundError(str(uri), f"no bucket {uri.authority!r}")
    if version is not None:
        return VersionNotFoundError(str(uri), repr(version))
    return ObjectNotFoundError(str(uri))


def _generic(uri: Uri, version: str | None, error: Exception) -> Exception:
    text = str(error)
    match = _STATUS.search(text)
    status = match[1] if match else None
    if status == "404":
        return _not_found(uri, version, text)
    if status == "416":
        return BeyondEndError()
    if "non-partial response" in text:
        return RangeIgnoredError()
    if status == "409":
        return ObjectChangedError()
    if status in {"400", "405"} and version is not None:
        # No id of theirs, or the id of a delete marker, which has no bytes.
        return VersionNotFoundError(str(uri), repr(version))
    if "incorrectly configured region" in text:
        return StorageAccessError(str(uri), "the bucket is in another region; set 'region'")
    if status is not None and status.startswith("4") and status not in {"408", "425", "429"}:
        return StorageAccessError(str(uri), _detail(text))
    if not isinstance(error, GenericError):
        return StorageAccessError(str(uri), type(error).__name__)
    return StorageUnavailableError(str(uri), _detail(text))


def _code(text: str) -> str | None:
    match = _S3_ERROR.search(text)
    return match[1] if match else None


def _detail(text: str) -> str:
    """What an answer says went wrong, without the addresses and dumps that obstore adds."""
    if match := _S3_ERROR.search(text):
        return f"{match[1]}: {match[2].strip()}" if match[2] else match[1]
    if match := _STATUS.search(text):
        return f"the server answered {match[1]}"
    lowered = text.lower()
    return next((cause for sign, cause in _CAUSES if sign in lowered), "the connection failed")

"""What answers of a registry mean where they are not what was asked for."""

from __future__ import annotations

import importlib
import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from datacachalog.domain.errors import (
    ApiConflictError,
    ApiError,
    AuthError,
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
    ServerError,
    TransientError,
    TransientNetworkError,
    ValidationError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_NO_SUCH_PATH: Final = "Not Found"  # what it knows by its name, a registry tells by that
_KINDS: Final[Mapping[int, type[ApiError]]] = {
    400: ValidationError,
    401: AuthError,
    403: ForbiddenError,
    404: NotFoundError,
    408: TransientError,
    409: ApiConflictError,
    410: NotFoundError,
    412: ApiConflictError,
    413: ValidationError,
    422: ValidationError,
    428: ApiConflictError,
    429: RateLimitedError,
    502: TransientError,
    503: TransientError,
    504: TransientError,
}


def error_of(
    where: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    asked_as: str | None = None,
) -> ApiError:
    """The error that an answer is; `where` says what was asked of whom.

    `asked_as` is the id that the request had, for answers that tell none.
    """
    request_id = headers.get("x-request-id") or asked_as
    if status in range(300, 400):
        to = headers.get("location", "nowhere").partition("?")[0]
        told = f"{where} was sent on to {to}, which is not followed"
        return ServerError(told, status, None, request_id)
    kind = _KINDS.get(status, ServerError if status >= 500 else ApiError)
    problem: Any = None
    with suppress(ValueError, RecursionError):  # the second: nested too deeply
        problem = json.loads(body)
    if not isinstance(problem, dict) or not isinstance(problem.get("code"), str):
        # A wrong address or a proxy's page says nothing of tables, keys and privileges.
        kind = kind if issubclass(kind, TransientError) else ServerError
        told = f"{where} was answered with {status}, and not by a registry"
        return kind(told, status, None, request_id)
    detail = str(problem.get("detail") or problem.get("title") or f"status {status}")
    if problem.get("title") == _NO_SUCH_PATH:  # of an address that has more than it should, say
        told = f"{where} is no address of the registry's"
        return ServerError(told, status, None, request_id)
    known_as = problem.get("request_id")
    request_id = known_as if isinstance(known_as, str) else request_id
    return kind(detail, status, problem["code"], request_id)


def not_json(
    where: str, status: int, content_type: str | None, asked_as: str | None = None
) -> ServerError:
    """The error of an answer that cannot be read."""
    came = f"as {content_type.partition(';')[0]}" if content_type else "otherwise"
    told = f"{where} was not answered as a registry does, but {came}"
    return ServerError(told, status, None, asked_as)


def without_an_answer(where: str, error: BaseException, asked_as: str) -> TransientNetworkError:
    """The error of a request to which no whole answer came."""
    return TransientNetworkError(f"{where} has no answer: {_reason(error)}", 0, None, asked_as)


def _reason(error: BaseException) -> str:
    """Why, in a few words; urllib3's own hold objects and addresses of the memory."""
    reason = getattr(error, "reason", None)
    if isinstance(reason, BaseException):
        return _reason(reason)
    name = type(error).__name__
    known = {
        "ConnectTimeoutError": "no connection came about in time",
        "ReadTimeoutError": "nothing came in time",
        "NewConnectionError": "no connection can be made",
        "NameResolutionError": "the name of the host is not known",
        "IncompleteRead": "it was cut",
        "TimeoutError": "it did not come to its end in time",
        "ProtocolError": "the connection was cut",
        "ConnectionError": "the connection was cut",
        "SSLError": f"the connection is not safe ({error}); SSL_CERT_FILE may name whom to trust",
        "ProxyError": "the proxy does not let it through",
    }
    return known.get(name, f"{name}")


def retry_after_s(text: str | None) -> float | None:
    """The seconds of a `Retry-After`, which may be a date too (RFC 9110 §10.2.3).

    >>> retry_after_s("2")
    2.0
    """
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text.strip()[:9])
    with suppress(ValueError, OverflowError):
        # By name: it takes 8 ms, and hardly any registry says it like this.
        when: datetime = importlib.import_module("email.utils").parsedate_to_datetime(text)
        aware = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, (aware - datetime.now(UTC)).total_seconds())
    return None

"""Errors of asking a registry: what it answered, or that it did not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datacachalog.domain.errors.registry import RegistryError

if TYPE_CHECKING:
    from typing import Self


class ApiCode(str):
    """The stable code of a registry's refusal, which also equals the HTTP status it came with.

    Programs know some refusals by their status, and others only by their code.

    >>> code = ApiCode("not-found", 404)
    >>> code == "not-found", code == 404, code == 403
    (True, True, False)
    """

    __slots__ = ("status",)
    status: int

    def __new__(cls, text: str, status: int) -> Self:
        made = super().__new__(cls, text)
        made.status = status
        return made

    def __eq__(self, other: object) -> bool:
        return self.status == other if isinstance(other, int) else str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        return ApiCode, (str(self), self.status)


class ApiError(RegistryError):
    """A registry refused a request, or did not answer it as it should.

    `status` is the HTTP status, 0 where no answer has one; `code` the registry's stable code, which
    also equals the status; `request_id` what the registry's log calls the request; `run_id` the
    run that it was made for. All but `message` may be unknown.
    """

    code: ApiCode = ApiCode("api", 0)

    def __init__(
        self,
        message: str,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        run_id: str | None = None,
    ) -> None:
        self.message, self.status = message, type(self).code.status if status is None else status
        self.code = ApiCode(code or type(self).code, self.status)
        self.request_id, self.run_id = request_id, run_id
        super().__init__(message, status, code, request_id, run_id)

    def __str__(self) -> str:
        known = {"request": self.request_id, "run": self.run_id}
        told = ", ".join(f"{name} {value}" for name, value in known.items() if value)
        return f"{self.message} ({told})" if told else self.message

    def of_run(self, run_id: str) -> Self:
        """The same error, which tells the run that it was in, unless it told one already."""
        if self.run_id is None:
            self.run_id = run_id
            self.args = (*self.args[:4], run_id)
        return self

    @classmethod
    def from_exception(cls, error: BaseException) -> ApiError:
        """The error as one of these: itself where it is one, else one that it is the cause of."""
        if isinstance(error, ApiError):
            return error
        made = cls(f"{type(error).__name__}: {error}")
        made.__cause__ = error
        return made


class ConfigurationError(ApiError):
    """It is not known which registry to ask, or with which key."""

    code = ApiCode("registry-configuration", 0)
    _hint = "set DATLAKE_API_URL and DATLAKE_API_KEY, or run 'datlake config set'"


class AuthError(ApiError):
    """The key or token is missing, wrong, expired or revoked (401)."""

    code = ApiCode("unauthenticated", 401)
    _hint = "give a valid key: api_key=…, DATLAKE_API_KEY, or 'datlake config set api_key'"


class ForbiddenError(AuthError):
    """The caller may not do this, or not know whether it is there (403)."""

    code = ApiCode("forbidden", 403)
    _hint = "ask who runs the registry for the privilege; 'datlake whoami' tells what you have"


class NotFoundError(ApiError):
    """There is no such thing (404)."""

    code = ApiCode("not-found", 404)


class ApiConflictError(ApiError):
    """Something else is there, or was first (409, 412, 428)."""

    code = ApiCode("registry-conflict", 409)


class ValidationError(ApiError):
    """The registry takes the request for senseless (400, 413, 422)."""

    code = ApiCode("invalid", 422)


class TransientError(ApiError):
    """It may work later: the registry cannot do it now (408, 502, 503, 504)."""

    code = ApiCode("transient", 503)
    _hint = "try again later; if it stays so, look at the registry: 'datlake doctor'"


class TransientNetworkError(TransientError):
    """No whole answer came: no connection, none in time, or one that was cut."""

    code = ApiCode("network", 0)
    _hint = "look at the address and the network; 'datlake config' shows which registry is asked"


class ApiOfflineError(TransientNetworkError):
    """The registry is not asked: `offline` says so, and what is wanted is not cached."""

    code = ApiCode("registry-offline", 0)
    _hint = "leave out offline=True or DATLAKE_OFFLINE to ask; what is told of snapshots is kept"


class RateLimitedError(TransientError):
    """Too many requests (429)."""

    code = ApiCode("rate-limited", 429)


class ServerError(ApiError):
    """The registry failed (5xx), or what answered is no registry."""

    code = ApiCode("server", 500)
    _hint = "look into the registry's log for the request, or whether the address is a registry's"


class JobFailedError(ApiError):
    """A registration ended without a snapshot; `code` says why, such as `uri_not_found`."""

    code = ApiCode("job-failed", 0)

    @property
    def hint(self) -> str | None:
        """What to do next, where the code says so."""
        is_parquet_meant = self.code == "not_parquet"  # as it is unless another format is named
        return "name its format, as in format='csv' or --format csv" if is_parquet_meant else None


class RunStateError(ApiError):
    """The run is not in a state for that: it was not started yet, or is over."""

    code = ApiCode("run-state", 0)
    _hint = "use a new JobContext for each run, and what it offers inside of its with block"

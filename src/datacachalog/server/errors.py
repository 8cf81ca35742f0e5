"""What the registry refuses, each kind with a stable code and the HTTP status that tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from datacachalog.domain.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Mapping


class DatabaseError(RegistryError):
    """A database that the registry cannot use."""

    code = "registry-database"

    def __init__(self, database: str, problem: str) -> None:
        super().__init__(f"{database} {problem}")


class Problem(RegistryError):  # noqa: N818 - the term of RFC 9457
    """A refusal that the caller is told, as RFC 9457 has it.

    `detail` is for people; `more` are further members of the answer, `headers` its own headers.
    """

    status: int = 400
    code = "bad-request"
    title: ClassVar[str] = "The request cannot be served"
    headers: Mapping[str, str] = {}

    def __init__(self, detail: str, **more: object) -> None:
        self.detail, self.more = detail, more
        super().__init__(detail)


class UnauthenticatedProblem(Problem):
    """No credentials, or none that are valid."""

    status, code, title = 401, "unauthenticated", "No valid credentials were given"


class ForbiddenProblem(Problem):
    """The caller lacks a privilege."""

    status, code, title = 403, "forbidden", "The caller may not do this"


class NotFoundProblem(Problem):
    """There is no such thing, or none that the caller may see."""

    status, code, title = 404, "not-found", "There is no such thing"


class ConflictProblem(Problem):
    """Something else is there already, or was first."""

    status, code, title = 409, "conflict", "It conflicts with what is there"


class PreconditionProblem(Problem):
    """It is not what the caller has seen any more."""

    status, code, title = 412, "precondition-failed", "It has changed since it was read"


class TooLargeProblem(Problem):
    """A body that is larger than it may be."""

    status, code, title = 413, "too-large", "The body is too large"


class InvalidProblem(Problem):
    """The request cannot mean anything."""

    status, code, title = 422, "invalid", "The request is not valid"


class PreconditionRequiredProblem(Problem):
    """A change of what others change, too, without what the caller has seen of it."""

    status, code, title = 428, "precondition-required", "It must be said what is changed"


class TooSlowProblem(Problem):
    """A body of which nothing more comes."""

    status, code, title = 408, "too-slow", "The body did not come in time"


class StoreRefusesProblem(Problem):
    """A store that does not let the registry do what it is configured for."""

    status, code, title = 502, "store-refuses", "The store refuses the registry"


class UnavailableProblem(Problem):
    """Something that the registry needs does not answer now, and may later."""

    status, code, title = 503, "unavailable", "It cannot be done now"
    headers = {"Retry-After": "2"}  # noqa: RUF012 - as in Problem


class FullProblem(Problem):
    """There is no room for it."""

    status, code, title = 507, "full", "There is no room left"

"""What the registry refuses, each kind with a stable code and the HTTP status that tells it."""

from __future__ import annotations

from typing import ClassVar

from datacachalog.domain.errors import RegistryError


class DatabaseError(RegistryError):
    """A database that the registry cannot use."""

    code = "registry-database"

    def __init__(self, database: str, problem: str) -> None:
        super().__init__(f"{database} {problem}")


class Problem(RegistryError):  # noqa: N818 - the term of RFC 9457
    """A refusal that the caller is told, as RFC 9457 has it.

    `detail` is for people; `more` are further members of the answer.
    """

    status: ClassVar[int] = 400
    code = "bad-request"
    title: ClassVar[str] = "The request cannot be served"

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

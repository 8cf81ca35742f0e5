"""What things and people may be called, and how requests that break it are told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from datacachalog.server.errors import InvalidProblem

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}$", examples=["etl"])]
"""Of a principal or a role that is made here."""

KnownName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+~-]{0,199}$")]
"""Of any principal or role: those who come with tokens have a `~` in theirs."""

Grantee = Annotated[
    str,
    Field(
        pattern=r"^(role:)?[A-Za-z0-9][A-Za-z0-9._@+~-]{0,199}$",
        description="A principal, or role:NAME.",
        examples=["etl", "role:analysts"],
    ),
]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=200)]
"""Words on one line."""


def _spelled_out(value: object) -> object:
    """Refuses the numbers that pydantic takes for a time: the API's document knows none."""
    if isinstance(value, int | float) or (isinstance(value, str) and not value[4:5] == "-"):
        raise ValueError("a time is such as 2026-01-31T12:00:00Z")
    return value


Time = Annotated[
    AwareDatetime,
    Field(ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(9000, 1, 1, tzinfo=UTC)),
    BeforeValidator(_spelled_out),
]

Thing = Annotated[
    str,
    Field(
        pattern=r"^(catalog|(namespace|table|location):[^\x00-\x1f\x7f]{1,1100})$",
        description="catalog, namespace:NAME, table:NAME or location:URI.",
        examples=["catalog", "table:sales.orders"],
    ),
]


class Asked(BaseModel):
    """The body of a request: what it does not know is refused."""

    model_config = ConfigDict(extra="forbid")


_Asked = TypeVar("_Asked", bound=Asked)


def asked(kind: type[_Asked], **values: Any) -> _Asked:
    """What a command line asks for, held to the rules of the API's bodies.

    Raises:
        InvalidProblem: it breaks them.
    """
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where, told = ".".join(map(str, first["loc"])), first["msg"]
        if first["type"] == "string_pattern_mismatch":
            told = "it is empty, too long, or holds characters that it may not"
        raise InvalidProblem(f"{where}: {told}") from None

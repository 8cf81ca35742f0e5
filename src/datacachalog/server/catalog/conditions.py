"""Conditional requests (RFC 9110 §13): what the caller has seen is what it may read or change."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Header

from datacachalog.server.errors import PreconditionProblem, PreconditionRequiredProblem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Row

_TAG = re.compile(r'(W/)?("[^"]*")')
ANY = "*"

IfMatch = Annotated[str | None, Header(alias="If-Match", description="only while this is its ETag")]
IfNoneMatch = Annotated[
    str | None, Header(alias="If-None-Match", description="not where this is its ETag still")
]


def tag_of(table: Row[Any]) -> str:
    """The ETag of a table, which every change of it changes."""
    return f'"{table.id}-{table.row_version}"'


def is_known(if_none_match: str | None, tag: str) -> bool:
    """Whether the caller has this already."""
    given = (if_none_match or "").strip()
    return given == ANY or tag in [found for _, found in _TAG.findall(given)]


def matching(if_match: str | None, tag: str | None, *, is_needed: bool = False) -> str | None:
    """What of `If-Match` is true of a thing with this ETag, None where nothing was asked.

    It is `*` or the ETag itself. There is no thing where `tag` is None.

    Raises:
        PreconditionProblem: nothing of it is true.
        PreconditionRequiredProblem: it is needed, and missing.
    """
    given = (if_match or "").strip()
    if not given:
        if is_needed:
            told = "send the ETag that you have seen in the header 'If-Match'"
            raise PreconditionRequiredProblem(told)
        return None
    strong = [found for weak, found in _TAG.findall(given) if not weak]
    asked = ANY if given == ANY else tag if tag in strong else ""
    require_match(asked, tag)
    return asked


def require_match(asked: str | None, tag: str | None) -> None:
    """Refuses where what `matching` gave out is not true any more.

    Raises:
        PreconditionProblem: it has changed since.
    """
    if asked is not None and (tag is None or asked not in {ANY, tag}):
        raise PreconditionProblem("it is not what 'If-Match' says")


def caching(tag: str, *, is_immutable: bool = False) -> Mapping[str, str]:
    """The headers of an answer that its caller may keep: for ever, or until the tag is another."""
    kept = "private, max-age=31536000, immutable" if is_immutable else "private, no-cache"
    return {"ETag": tag, "Cache-Control": kept, "Vary": "Authorization"}

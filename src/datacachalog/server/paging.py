"""Lists that come in pages: where the next one begins travels in the `Link` header (RFC 8288)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query, Request, Response
from sqlalchemy import ColumnElement, Connection, Row, Select

from datacachalog.server.errors import InvalidProblem

T = TypeVar("T")
MAX_LIMIT = 1000

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="how many at most")]
Cursor = Annotated[
    str | None, Query(max_length=1000, description="where to begin: from the header `Link`")
]


@dataclass(frozen=True, slots=True)
class Page:
    """At most `limit` lines, after the one that `after` orders."""

    limit: int
    after: str | None = None


def _asked(limit: Limit = 100, cursor: Cursor = None) -> Page:
    found = position(cursor, 1)
    return Page(limit, None if found is None else found[0])


PageOf = Annotated[Page, Depends(_asked)]


def position(cursor: str | None, parts: int) -> tuple[str, ...] | None:
    """What a page begins after, None for the first page.

    Raises:
        InvalidProblem: the cursor is none that `page` has given out.
    """
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        found = tuple(base64.urlsafe_b64decode(padded).decode().split("/", parts - 1))
    except (binascii.Error, ValueError):
        found = ()
    if len(found) != parts or not all(one.isprintable() and one for one in found):
        raise InvalidProblem("the cursor is none that was given out")
    return found


def page(
    request: Request,
    response: Response,
    rows: Sequence[T],
    limit: int,
    position_of: Callable[[T], tuple[str, ...]],
) -> list[T]:
    """The first `limit` of the rows, of which there is one more where another page follows."""
    if len(rows) > limit:
        told = "/".join(position_of(rows[limit - 1])).encode()
        cursor = base64.urlsafe_b64encode(told).decode().rstrip("=")
        following = request.url.include_query_params(cursor=cursor, limit=limit)
        response.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
    return list(rows[:limit])


def page_of(
    connection: Connection,
    query: Select[Any],
    order: ColumnElement[str],
    page: Page | None,
    *,
    is_newest_first: bool = False,
) -> Sequence[Row[Any]]:
    """The rows of a page and one more, which says that there is another; all without a page.

    `order` is text that no two rows share.
    """
    query = query.order_by(order.desc() if is_newest_first else order)
    if page is None:
        return connection.execute(query).all()
    if page.after is not None:
        query = query.where(order < page.after if is_newest_first else order > page.after)
    return connection.execute(query.limit(page.limit + 1)).all()


def told(
    request: Request,
    response: Response,
    asked: Page,
    lines: list[T],
    order: Callable[[T], str],
) -> list[T]:
    """The lines of a page that `page_of` has read."""
    return page(request, response, lines, asked.limit, lambda one: (order(one),))

"""What answers mean that are not what was asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from datacachalog.adapters.api.answers import error_of, not_json, retry_after_s
from datacachalog.adapters.api.reading import record, text_of
from datacachalog.domain.errors import (
    ApiConflictError,
    ApiError,
    AuthError,
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
    ServerError,
    TransientError,
    ValidationError,
)

_PROBLEM = {"code": "some-code", "detail": "it is so", "request_id": "req-1"}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ValidationError),
        (401, AuthError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (405, ApiError),
        (408, TransientError),
        (409, ApiConflictError),
        (410, NotFoundError),
        (412, ApiConflictError),
        (413, ValidationError),
        (422, ValidationError),
        (428, ApiConflictError),
        (429, RateLimitedError),
        (500, ServerError),
        (502, TransientError),
        (503, TransientError),
        (504, TransientError),
        (507, ServerError),
    ],
)
def test_each_status_is_a_kind_of_error(status, kind):
    found = error_of("GET x", status, {"x-request-id": "req-2"}, json.dumps(_PROBLEM).encode())
    assert (kind, status) == (type(found), found.status)
    assert ("it is so", "some-code", "req-1") == (found.message, found.code, found.request_id)
    assert found.code == status
    assert "req-3" == error_of("GET x", status, {}, b"", "req-3").request_id


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, ServerError),
        (403, ServerError),
        (404, ServerError),  # of a table that is not there, a pipeline may go on without it
        (409, ServerError),
        (408, TransientError),
        (429, RateLimitedError),
        (500, ServerError),
        (503, TransientError),
    ],
)
def test_what_is_no_registry_knows_nothing_of_tables_and_keys(status, kind):
    found = error_of("GET x", status, {"x-request-id": "req-2"}, b"<html>")
    assert (kind, status, "req-2") == (type(found), found.status, found.request_id)
    assert f"GET x was answered with {status}, and not by a registry" == found.message
    assert found.code == status


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'{"code": 3}', b"\xff", b"[" * 10])
def test_what_is_no_problem_is_not_taken_for_one(body):
    assert "not by a registry" in error_of("GET x", 404, {}, body).message


@pytest.mark.parametrize("more", [{"detail": None}, {"detail": "", "title": "it is so"}])
def test_a_problem_without_a_detail_is_told_by_its_title(more):
    found = error_of(
        "GET x", 400, {}, json.dumps({**_PROBLEM, "title": "it is so", **more}).encode()
    )
    assert "it is so" == found.message


def test_where_it_would_lead_is_told_without_what_may_be_secret():
    found = error_of("GET x", 302, {"location": "https://login/?token=t"}, b"")
    assert "GET x was sent on to https://login/, which is not followed" == found.message
    assert "to nowhere" in error_of("GET x", 302, {}, b"").message


def test_an_answer_that_is_no_json_tells_what_it_is():
    assert "as text/html" in str(not_json("GET x", 200, "text/html; charset=utf-8"))
    assert "otherwise" in str(not_json("GET x", 200, None))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [(None, None), ("0", 0.0), (" 7 ", 7.0), ("9" * 30, 999_999_999.0), ("-1", None), ("x", None)],
)
def test_how_long_to_wait(text, wanted):
    assert wanted == retry_after_s(text)


def test_until_when_to_wait():
    now = datetime.now(UTC)
    then = (now + timedelta(seconds=60)).replace(microsecond=0)
    soon = retry_after_s(format_datetime(then, usegmt=True))
    assert soon is not None
    assert then - datetime.now(UTC) <= timedelta(seconds=soon) <= then - now
    assert 0.0 == retry_after_s(format_datetime(now - timedelta(days=1), usegmt=True))


@dataclass(frozen=True)
class Thing:
    name: str
    at: datetime
    count: int = 0
    is_on: bool = False
    note: str | None = None
    parts: tuple[str, ...] = ()


_AT = "2026-01-01T00:00:00+00:00"


def test_a_record_takes_what_it_knows_and_leaves_the_rest():
    told = {"name": "a", "at": _AT, "count": 3, "note": None, "parts": ["x"], "more": object()}
    found = record(Thing, told)
    assert Thing("a", datetime(2026, 1, 1, tzinfo=UTC), 3, note=None, parts=("x",)) == found


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        "x",
        {},
        {"name": "a"},
        {"name": None, "at": _AT},
        {"name": "a", "at": 3},
        {"name": "a", "at": "yesterday"},
        {"name": "a", "at": _AT, "count": "3"},
        {"name": "a", "at": _AT, "count": True},
        {"name": "a", "at": _AT, "count": None},
        {"name": "a", "at": _AT, "is_on": 1},
        {"name": "a", "at": _AT, "note": 3},
        {"name": "a", "at": _AT, "parts": {}},
    ],
)
def test_a_record_of_another_shape_is_told(told):
    with pytest.raises(ServerError, match="Thing"):
        record(Thing, told)


@pytest.mark.parametrize("told", [None, [], {}, {"a": 3}, {"a": None}])
def test_a_text_that_is_not_there_is_told(told):
    with pytest.raises(ServerError, match="'a'"):
        text_of(told, "a")
    assert "x" == text_of({"a": "x"}, "a")

"""Requests to a registry: sent, answered, and sent again where that may help.

Every request has an `X-Request-Id`, and every write an `Idempotency-Key`, the same each time that
it is sent: a registry does a write with one key once. So all requests may be sent again, and are,
where no whole answer came, or one that says that it may work later.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import re
import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from datacachalog.adapters.api.answers import (
    error_of,
    not_json,
    retry_after_s,
    without_an_answer,
)
from datacachalog.domain.errors import (
    ApiOfflineError,
    ConfigurationError,
    ServerError,
    ValidationError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import BinaryIO

    import urllib3

    from datacachalog.adapters.api.settings import ApiSettings
    from datacachalog.domain.errors import ApiError

_PREFIX: Final = "/api/v1"
_MAX_PAUSE_S: Final = 30.0
_MAX_ANSWER_BYTES: Final = 64 << 20
_BLOCK_BYTES: Final = 1 << 18
_AGAIN: Final = {408, 429, 500, 502, 503, 504}
_CONNECTIONS: Final = 64  # kept; who needs more opens them, and is warned by urllib3
_request_id: ContextVar[str | None] = ContextVar("datlake_request_id", default=None)


@contextmanager
def correlated(request_id: str) -> Iterator[None]:
    """Has all requests of the block carry this `X-Request-Id`, to be found in the logs by it.

    Raises:
        ValueError: it is not at most 128 letters, digits, `.`, `_` and `-`: a registry would make
            one of its own.
    """
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,128}", request_id):
        raise ValueError(f"a request's id has up to 128 of A-Z, a-z, 0-9, ._-: not {request_id!r}")
    before = _request_id.set(request_id)
    try:
        yield
    finally:
        _request_id.reset(before)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `path` begins after `/api/v1`; `body` gives what is sent, anew each time."""

    method: str
    path: str
    query: Mapping[str, object] = field(default_factory=dict)
    json: object = None
    body: Callable[[], BinaryIO] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    """The `Idempotency-Key` of a write; one is made where none is given."""

    @property
    def target(self) -> str:
        """The path and query, as they are sent."""
        given = {name: value for name, value in self.query.items() if value is not None}
        return _PREFIX + self.path + (f"?{urlencode(given, doseq=True)}" if given else "")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came: `headers` by their names in small letters, `data` what the JSON says."""

    status: int
    headers: Mapping[str, str]
    data: Any


@dataclass(frozen=True, slots=True)
class Stream:
    """What comes: `headers` by their names in small letters, and the body as it arrives."""

    headers: Mapping[str, str]
    blocks: Iterator[bytes]


def segment(text: str) -> str:
    """A name as a part of a path.

    >>> segment("a b")
    'a%20b'

    Raises:
        ValidationError: with it the path would be that of something else.
    """
    if text in {"", ".", ".."} or "/" in text:  # servers take an escaped slash for one
        raise ValidationError(f"{text!r} is no name: it is empty, '.' or '..', or has a '/'")
    return quote(text, safe="")


class Transport:
    """Connections to one registry, as one caller. Threads and forked processes may share it."""

    def __init__(self, settings: ApiSettings) -> None:
        self.settings = settings
        self._pools: dict[int, urllib3.PoolManager] = {}  # no socket is shared with a fork
        self._making: dict[int, threading.Lock] = {}  # nor a lock, which a thread may have held

    @property
    def base_url(self) -> str:
        """The registry's address.

        Raises:
            ConfigurationError: none is known.
        """
        if self.settings.api_url is None:
            raise ConfigurationError("it is not known which registry to ask")
        return self.settings.api_url

    def ask(self, asked: Ask) -> Answer:
        """The answer to a request, whose JSON was read.

        Raises:
            ApiError: it was refused, or there is no answer; the kinds say which.
        """
        answer, data = self._answer(asked, self._headers_of(asked), is_stream=False)
        return Answer(answer.status, _headers(answer), data)

    def pages(self, asked: Ask) -> Iterator[Any]:
        """The lines of a list, whose pages are asked for as they are needed."""
        while True:
            answer = self.ask(asked)
            if not isinstance(answer.data, list):
                request_id = answer.headers.get("x-request-id")
                raise not_json(self._where(asked), answer.status, None, request_id)
            yield from answer.data
            following = _next(answer.headers.get("link", ""))
            if following is None:
                return
            if _PREFIX + following == asked.target:  # what is between us forgets the query
                told = f"{self._where(asked)} has no end: the next page is the same one"
                raise ServerError(told, answer.status, None, answer.headers.get("x-request-id"))
            asked = Ask(asked.method, following, headers=asked.headers)

    @contextmanager
    def stream(self, asked: Ask) -> Iterator[Stream]:
        """An answer whose body is read by the block; a cut in there is not asked again."""
        headers = self._headers_of(asked)
        answer, _ = self._answer(asked, headers, is_stream=True)
        try:
            if answer.status != 200:
                raise not_json(self._where(asked), answer.status, None, headers["X-Request-Id"])
            yield Stream(_headers(answer), self._blocks(asked, headers, answer))
        finally:
            answer.close()  # what was not read would be taken for the next answer
            answer.release_conn()

    def _blocks(
        self, asked: Ask, headers: Mapping[str, str], answer: urllib3.BaseHTTPResponse
    ) -> Iterator[bytes]:
        try:
            with self._told(asked, headers):
                while block := answer.read1(_BLOCK_BYTES):
                    yield block
        except _AgainError as error:
            raise error.error from error.__cause__

    def _answer(
        self, asked: Ask, headers: Mapping[str, str], *, is_stream: bool
    ) -> tuple[urllib3.BaseHTTPResponse, Any]:
        retry, attempt = self.settings.retry, 0
        until = time.monotonic() + retry.deadline_ms / 1000
        while True:
            try:
                answer = self._sent(asked, headers)
                return answer, self._read(asked, headers, answer, None if is_stream else until)
            except _AgainError as again:
                pause_s = max(again.pause_s or 0.0, self._pause_s(attempt))
                attempt += 1
                if attempt > retry.max or time.monotonic() + pause_s > until:
                    raise again.error from again.__cause__
            time.sleep(pause_s)

    def _pause_s(self, attempt: int) -> float:
        retry = self.settings.retry
        pause_s: float = min(retry.base_ms / 1000 * 2**attempt, _MAX_PAUSE_S)
        return pause_s * random.uniform(0.5, 1) if retry.jitter else pause_s  # noqa: S311 - jitter

    def _headers_of(self, asked: Ask) -> dict[str, str]:
        if self.settings.offline:
            raise ApiOfflineError(f"{self.base_url} is not asked: offline")
        if self.settings.api_key is None:
            raise ConfigurationError(f"no key is known for {self.base_url}")
        headers = {
            "Authorization": f"Bearer {self.settings.api_key}",
            "X-Request-Id": _request_id.get() or f"req-{os.urandom(16).hex()}",
            "User-Agent": "datlake-sdk",
            **asked.headers,
        }
        if asked.method not in {"GET", "HEAD"}:
            headers["Idempotency-Key"] = asked.key or os.urandom(16).hex()
        if asked.json is not None:
            headers["Content-Type"] = "application/json"
        return headers

    def _sent(self, asked: Ask, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        body: Any = asked.body() if asked.body is not None else _written(asked.json)
        try:
            with self._told(asked, headers):
                return self._pool().request(
                    asked.method,
                    self.base_url + asked.target,
                    body=body,
                    headers=headers,
                    retries=False,
                    redirect=False,
                    preload_content=False,
                )
        finally:
            if asked.body is not None:
                body.close()

    @contextmanager
    def _told(self, asked: Ask, headers: Mapping[str, str]) -> Iterator[None]:
        """Tells of what the network did as an error that may be asked again."""
        # By name, as in `_pool`: it is loaded by now.
        errors: Any = importlib.import_module("urllib3.exceptions")
        try:
            yield
        except (errors.HTTPError, OSError) as error:
            made = without_an_answer(self._where(asked), error, headers["X-Request-Id"])
            raise _AgainError(made, None) from error

    def _read(
        self,
        asked: Ask,
        headers: Mapping[str, str],
        answer: urllib3.BaseHTTPResponse,
        until: float | None,
    ) -> Any:
        is_well = answer.status < 300 or answer.status == 304
        if is_well and until is None:
            return None
        with self._told(asked, headers):
            body = self._whole(asked, headers, answer, until)
        where, request_id = self._where(asked), headers["X-Request-Id"]
        if not is_well:
            error = error_of(where, answer.status, _headers(answer), body, request_id)
            if answer.status in _AGAIN:
                raise _AgainError(error, retry_after_s(answer.headers.get("Retry-After")))
            raise error
        if answer.status == 304 or asked.method == "HEAD":
            return None
        try:
            return json.loads(body)
        except (ValueError, RecursionError):  # the second: nested too deeply
            came_as = answer.headers.get("Content-Type")
            error = not_json(where, answer.status, came_as, request_id)
            if "json" in (came_as or ""):  # cut on its way
                raise _AgainError(error, None) from None
            raise error from None

    def _whole(
        self,
        asked: Ask,
        headers: Mapping[str, str],
        answer: urllib3.BaseHTTPResponse,
        until: float | None,
    ) -> bytes:
        """The body, if it has an end soon: each part of one that drips comes in time."""
        body = bytearray()
        while block := answer.read1(_BLOCK_BYTES):
            body += block
            if len(body) > _MAX_ANSWER_BYTES:
                answer.close()  # or the rest would be taken for the next answer
                told = f"{self._where(asked)} has an answer of more than {_MAX_ANSWER_BYTES} bytes"
                raise ServerError(told, answer.status, None, headers["X-Request-Id"])
            if until is not None and time.monotonic() > until:
                answer.close()
                raise TimeoutError
        if not body and asked.method != "HEAD" and _was_cut(answer):
            raise ConnectionError
        return bytes(body)

    def _where(self, asked: Ask) -> str:
        return f"{asked.method} {self.base_url}{_PREFIX}{asked.path}"

    def _pool(self) -> urllib3.PoolManager:
        process = os.getpid()
        with self._making.setdefault(process, threading.Lock()):
            if process not in self._pools:
                # By name: it takes 60 ms, which who asks nothing need not wait.
                pools = importlib.import_module("datacachalog.adapters.api.pools")
                timeout_s = self.settings.default_timeout_ms / 1000
                made = pools.pool(self.base_url, timeout_s, _CONNECTIONS)
                self._pools = {process: made}
            return self._pools[process]


class _AgainError(Exception):
    """A request that may be sent again; `error` is what is raised where it is not."""

    def __init__(self, error: ApiError, pause_s: float | None) -> None:
        self.error, self.pause_s = error, pause_s
        super().__init__(error)


def _was_cut(answer: urllib3.BaseHTTPResponse) -> bool:
    """Whether an answer without a body is one whose head was cut, which http.client passes."""
    says_how_long = {"content-length", "transfer-encoding"} & {*_headers(answer)}
    return not says_how_long and answer.status not in {204, 304}


def _written(data: object) -> bytes | None:
    if data is None:
        return None
    try:
        return json.dumps(data, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValidationError(f"what is to be sent is no JSON: {error}") from error


def _headers(answer: urllib3.BaseHTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items()}


def _next(link: str) -> str | None:
    """The address of the next page that a `Link` header names (RFC 8288), from `/api/v1` on."""
    for one in link.split(","):
        target, _, parameters = one.partition(";")
        if 'rel="next"' in parameters.replace(" ", ""):
            _, found, path = target.strip(" <>").partition(_PREFIX)
            return path if found else None
    return None

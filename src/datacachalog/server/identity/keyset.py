"""The public keys of an identity provider (JWKS, RFC 7517), from one configured address.

Anybody can send a token that names a key nobody has. So the address is asked again at most every
few seconds, however many such tokens come, by one thread at a time, and with bounds on what it may
send. What it sent last holds for an hour where it cannot be reached.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from jwt import PyJWK
from jwt.exceptions import PyJWTError

from datacachalog.server.errors import InvalidProblem, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)

_FRESH_S = 600
_STALE_S = 3600
_TIMEOUT_S = 3
_MAX_BYTES = 1 << 20
_MAX_KEYS = 100
_LEAST_RSA_BITS = 2048
# What a key can do follows from what it is: no token, and no `alg`, has a say.
_ALGORITHMS = {("RSA", "None"): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}
_PUBLIC = ("kty", "crv", "n", "e", "x", "y")


class KeysUnavailableProblem(Problem):
    """The keys that tokens are checked with cannot be had now."""

    status, code, title = 503, "keys-unavailable", "Tokens cannot be checked now"
    headers = {"Retry-After": "10"}  # noqa: RUF012 - as in Problem


class KeySet:
    """The keys at an address. Threads may share one.

    `pause_s` is the least time between two readings; after one that failed, three times as long.

    Raises:
        InvalidProblem: the address is none of https, of a file, or of http on this machine.
    """

    def __init__(
        self, url: str, pause_s: float = 10, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url, self._pause_s, self._clock = _checked(url), pause_s, clock
        self._lock = threading.Lock()
        self._keys: dict[str, PyJWK] = {}
        self._read_at = self._next_at = float("-inf")

    def key(self, kid: str) -> PyJWK | None:
        """The key of that name; None where there is none.

        Raises:
            KeysUnavailableProblem: the keys could not be read for too long.
        """
        if kid not in self._keys or self._age() > _FRESH_S:
            self._refresh(kid)
        if self._age() > _STALE_S:
            raise KeysUnavailableProblem("the keys of the identity provider cannot be read")
        return self._keys.get(kid)

    def _age(self) -> float:
        return self._clock() - self._read_at

    def _refresh(self, kid: str) -> None:
        is_known = kid in self._keys
        if not self._lock.acquire(timeout=0 if is_known else _TIMEOUT_S):
            return  # another thread reads them
        try:
            if self._clock() >= self._next_at:
                self._read()
        finally:
            self._lock.release()

    def _read(self) -> None:
        self._next_at = self._clock() + self._pause_s
        try:
            self._keys = _keys(_bytes(self._url))
        except (OSError, ValueError, RecursionError) as error:
            self._next_at += 2 * self._pause_s
            _log.warning("the keys of tokens could not be read: %s", error)
        else:
            self._read_at = self._clock()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follows none: the keys are at the configured address, or nowhere."""


def _checked(url: str) -> str:
    parts = urlsplit(url)
    is_here = parts.hostname in {"127.0.0.1", "::1", "localhost"}
    if parts.scheme == "https" or (parts.scheme == "http" and is_here):
        return url
    if parts.scheme == "file" and not parts.netloc:
        return url
    raise InvalidProblem("the address of the keys must begin with https:// or file:///")


def _bytes(url: str) -> bytes:
    """What is at the address, in time and within bounds.

    Raises:
        OSError: it is not to be had.
        ValueError: it is too much.
    """
    if url.startswith("file:"):
        with Path(unquote(urlsplit(url).path)).open("rb") as file:
            found = file.read(_MAX_BYTES + 1)
    else:
        deadline, found = time.monotonic() + _TIMEOUT_S, b""
        opener = urllib.request.build_opener(_NoRedirects)
        with opener.open(url, timeout=_TIMEOUT_S) as answer:
            while (more := answer.read1(1 << 16)) and len(found) <= _MAX_BYTES:
                found += more
                if time.monotonic() > deadline:
                    raise TimeoutError("it took too long")
    if len(found) > _MAX_BYTES:
        raise ValueError(f"they are larger than {_MAX_BYTES} bytes")
    return found


def _keys(text: bytes) -> dict[str, PyJWK]:
    """The keys in a JWKS that tokens may be signed with, by their names; others do not count.

    Raises:
        ValueError: it is no JWKS.
    """
    found = json.loads(text)
    listed = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise ValueError("there is no JWKS")  # noqa: TRY004 - what JSON says, not a mistake here
    keys: dict[str, PyJWK] = {}
    for one in listed[:_MAX_KEYS]:
        key = _key(one) if isinstance(one, dict) else None
        if key is not None:
            keys[one["kid"]] = key
    return keys


def _key(told: dict[str, Any]) -> PyJWK | None:
    kind = (str(told.get("kty")), str(told.get("crv")))
    algorithm = _ALGORITHMS.get(kind)
    is_for_it = told.get("use", "sig") == "sig" and told.get("alg", algorithm) == algorithm
    if algorithm is None or not is_for_it or not isinstance(told.get("kid"), str):
        return None
    try:
        key = PyJWK({name: told[name] for name in _PUBLIC if name in told}, algorithm)
    except (PyJWTError, ValueError, TypeError):
        return None
    is_weak = algorithm == "RS256" and key.key.key_size < _LEAST_RSA_BITS
    return None if is_weak else key

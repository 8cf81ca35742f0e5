"""What a request asks of an object before it is read or written: preconditions, ranges, digests.

Pure. RFC 9110 §13 and §14, RFC 9530.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from datacachalog.server.errors import InvalidProblem, PreconditionProblem, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datacachalog.domain.objects import ObjectInfo

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_TAGS = re.compile(rf"\s*(?:{_TAG.pattern}\s*(?:,\s*|$))+")
_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")
_DIGEST = re.compile(r"\s*([a-z0-9*_.-]+)\s*=\s*:?([A-Za-z0-9+/=]+):?\s*")
_ALGORITHMS = {"sha-256": "sha256", "sha-512": "sha512"}
_DIGEST_FIELDS = ("content-digest", "repr-digest", "digest")


class RangeProblem(Problem):
    """A range of which the object has no byte."""

    status, code, title = 416, "range-not-satisfiable", "The object has no such range"

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"the object has {size_bytes} bytes")
        self.headers = {"Content-Range": f"bytes */{size_bytes}"}


class DigestProblem(Problem):
    """A body that is not the one that was sent."""

    status, code, title = 422, "digest-mismatch", "The body is not what it is said to be"


@dataclass(frozen=True, slots=True)
class Conditions:
    """`If-Match` and `If-None-Match`: tags, `("*",)` for any object, None where nothing is asked.

    >>> Conditions.of({"if-none-match": "*"}).if_none_match
    ('*',)
    """

    if_match: tuple[str, ...] | None = None
    if_none_match: tuple[str, ...] | None = None

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Conditions:
        """Those of a request.

        Raises:
            InvalidProblem: they are none.
        """
        return cls(
            _tags("If-Match", headers.get("if-match")),
            _tags("If-None-Match", headers.get("if-none-match")),
        )

    def refuse_match(self, found: ObjectInfo | None) -> None:
        """Raises PreconditionProblem if `If-Match` does not hold of what is there."""
        if self.if_match is None:
            return
        if found is None:
            raise PreconditionProblem("there is no object, and one was expected")
        if "*" not in self.if_match and found.etag not in self.if_match:
            raise PreconditionProblem(f"the object is {found.etag}, not the expected one")

    def knows(self, found: ObjectInfo | None) -> bool:
        """Whether `If-None-Match` names what is there; weak tags count (RFC 9110 §13.1.2)."""
        if self.if_none_match is None or found is None:
            return False
        known = {one.removeprefix("W/") for one in self.if_none_match}
        return "*" in known or (found.etag or "").removeprefix("W/") in known

    def refuse_write(self, found: ObjectInfo | None) -> None:
        """Raises PreconditionProblem if the object may not be written over what is there."""
        self.refuse_match(found)
        if self.knows(found):
            raise PreconditionProblem("there is an object already")


def _tags(name: str, text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    if text.strip() == "*":
        return ("*",)
    if not _TAGS.fullmatch(text):
        raise InvalidProblem(f'{name} is "*", or entity tags with their quotes')
    return tuple(_TAG.findall(text))


def range_of(headers: Mapping[str, str], found: ObjectInfo) -> tuple[int, int] | None:
    """The bytes that a reader wants: the first, and the one after the last; None for all.

    Several ranges, and units that are none, are answered with the whole object, as they may be.

    Raises:
        RangeProblem: the object has none of them.
    """
    match = _RANGE.fullmatch(headers.get("range", "").strip())
    condition = headers.get("if-range")
    if match is None or (condition is not None and condition != found.etag):
        return None
    first, last = match.groups()
    size = found.size_bytes
    if not first:
        if not last:
            return None
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < int(first):
            return None
    if start >= end:
        raise RangeProblem(size)
    return start, end


@dataclass(slots=True)
class Digest:
    """The digests of a body as it comes, beside what they are to be."""

    expected: Mapping[str, bytes]
    size_bytes: int = 0
    _sums: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in {"sha-256", *self.expected}:
            self._sums[name] = hashlib.new(_ALGORITHMS[name])

    def update(self, data: bytes) -> None:
        """Adds bytes."""
        self.size_bytes += len(data)
        for one in self._sums.values():
            one.update(data)

    @property
    def text(self) -> str:
        """Such as `sha256:9f86d0…`, as a catalog spells it."""
        return f"sha256:{self._sums['sha-256'].hexdigest()}"

    def refuse_other(self) -> None:
        """Raises DigestProblem if the body is not the expected one."""
        for name, expected in self.expected.items():
            if self._sums[name].digest() != expected:
                found = base64.b64encode(self._sums[name].digest()).decode()
                raise DigestProblem(f"the {name} of what came is {found}; nothing was written")


def expected_digests(headers: Mapping[str, str]) -> dict[str, bytes]:
    """What a body is said to come to, by algorithm: `Content-Digest`, `Repr-Digest`, `Digest`.

    >>> list(expected_digests({"digest": "sha-256=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}))
    ['sha-256']

    Raises:
        InvalidProblem: only by others than SHA-256 and SHA-512, so that nothing would be checked.
    """
    found: dict[str, bytes] = {}
    for name in _DIGEST_FIELDS:
        if name in headers:
            found |= _digests(name, headers[name])
    return found


def _digests(name: str, text: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for one in text.split(","):
        match = _DIGEST.fullmatch(_lower_name(one))
        if match is None:
            raise InvalidProblem(f"{name} is such as sha-256=:…:, in base64")
        algorithm, value = match.groups()
        if algorithm in _ALGORITHMS:
            found[algorithm] = _decoded(name, algorithm, value)
    if not found:
        raise InvalidProblem(f"{name}: only {' and '.join(_ALGORITHMS)} can be checked")
    return found


def _lower_name(one: str) -> str:
    name, _, value = one.partition("=")
    return f"{name.lower()}={value}"


def _decoded(name: str, algorithm: str, value: str) -> bytes:
    try:
        digest = base64.b64decode(value, validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != hashlib.new(_ALGORITHMS[algorithm]).digest_size:
        raise InvalidProblem(f"{name}: that is no {algorithm} in base64")
    return digest

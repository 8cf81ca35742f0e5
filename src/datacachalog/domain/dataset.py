"""Datasets: the named things in a catalog."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from datacachalog.domain.checksum import Checksum
from datacachalog.domain.errors import DatasetNameError, InvalidUriError
from datacachalog.domain.freshness import ALWAYS, Freshness
from datacachalog.domain.uri import TABLES, Uri, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import PurePath

OnUnreachable: TypeAlias = Literal["stale", "fail"]
"""What a fetch does where the store cannot be reached: serve an old copy, and warn; or raise."""

ON_UNREACHABLE: Final[tuple[OnUnreachable, ...]] = get_args(OnUnreachable)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# `s3:/lake/a` (as pathlib makes it of an address), `s3:lake/a`, `s3//lake/a`; not `C:/a`.
_NO_ADDRESS = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]+):/(?!/)|(s3[an]?|gs|https?|file|datlake)(?::(?!/)|//)", re.IGNORECASE
)


def name_problem(name: str) -> str | None:
    """What is wrong with a dataset's name, or None.

    >>> name_problem("../etc")
    "must be letters, digits, '.', '_' or '-', at most 100, and start with a letter or digit"
    """
    if _NAME.fullmatch(name):
        return None
    return "must be letters, digits, '.', '_' or '-', at most 100, and start with a letter or digit"


def source_problem(text: str) -> str | None:
    """What is wrong with the text of a source that means to be one object, or None.

    >>> source_problem("s3://lake/2024/*.parquet")
    'is a pattern; datasets of many files are not supported yet'
    """
    if text == "~" or text.startswith("~/"):
        return "begins with '~', which means nothing here; write the path in full"
    if match := _NO_ADDRESS.match(text):
        scheme = match[1] or match[2]
        return f"has no '://' after {scheme!r}; if it is a path, begin it with './'"
    if any(c in text for c in "*?[]"):
        return "is a pattern; datasets of many files are not supported yet"
    if "{" in text or "}" in text:
        return "is a template; parameters are not supported yet"
    if text.endswith("/"):
        return "is a folder; datasets of many files are not supported yet"
    scheme, separator, rest = text.partition("://")
    if separator and "/" not in rest and scheme.lower() != TABLES:
        return "names no object, only where to look for one"
    return None


@dataclass(frozen=True, slots=True, init=False)
class Dataset:
    """A name for one object, and how it is to be kept.

    `push` says whether the object may be replaced through this catalog. `on_unreachable` is what a
    fetch does where the store cannot be reached: `stale` serves the cached copy and warns, `fail`
    raises. `checksum`, such as `sha256:9f86d0…`, is what the bytes must come to: others are never
    handed out, and the object may not be pushed.

    >>> Dataset("customers", "s3://lake/customers.parquet", freshness="10m").source.authority
    'lake'

    Raises:
        DatasetNameError: `name` does not fit the rules of `name_problem`.
        InvalidUriError: `source` is not the address of one object.
        TypeError: `freshness` is none of a text, a time and a `Freshness`.
        ValueError: `freshness` or `on_unreachable` is no policy, or `checksum` no checksum.
    """

    name: str
    source: Uri
    description: str
    tags: tuple[str, ...]
    freshness: Freshness
    push: bool
    on_unreachable: OnUnreachable
    checksum: Checksum | None

    def __init__(
        self,
        name: str,
        source: str | os.PathLike[str] | Uri,
        *,
        description: str = "",
        tags: Iterable[str] = (),
        freshness: str | timedelta | Freshness = ALWAYS,
        push: bool = True,
        on_unreachable: OnUnreachable = "stale",
        checksum: str | Checksum | None = None,
    ) -> None:
        if problem := name_problem(name):
            raise DatasetNameError(name, problem)
        if on_unreachable not in ON_UNREACHABLE:
            raise ValueError(f"on_unreachable must be stale or fail, not {on_unreachable!r}")
        self._set("name", name)
        self._set("source", _parsed(source))
        self._set("description", description)
        self._set("tags", tuple(tags))
        self._set("freshness", _freshness(freshness))
        self._set("push", push)
        self._set("on_unreachable", on_unreachable)
        if isinstance(checksum, str):
            checksum = _checksum(checksum)
        self._set("checksum", checksum)

    def _set(self, field: str, value: object) -> None:
        object.__setattr__(self, field, value)

    def starting_at(self, base: PurePath) -> Dataset:
        """The same dataset, its source absolute: a relative path starts at `base`."""
        return Dataset(
            self.name,
            self.source.starting_at(base),
            description=self.description,
            tags=self.tags,
            freshness=self.freshness,
            push=self.push,
            on_unreachable=self.on_unreachable,
            checksum=self.checksum,
        )


def _freshness(given: str | timedelta | Freshness) -> Freshness:
    match given:
        case str():
            return Freshness.parse(given)
        case Freshness():
            return given
        case timedelta():
            if given < timedelta(0):
                raise ValueError(f"freshness must not be negative: {given}")
            return Freshness(given)
    raise TypeError(f"freshness must be a str, a timedelta or a Freshness, not {given!r}")


def _checksum(text: str) -> Checksum:
    try:
        return Checksum.parse(text)
    except ValueError as error:
        raise ValueError(f"checksum {error}, not {text!r}") from None


def _parsed(source: str | os.PathLike[str] | Uri) -> Uri:
    if isinstance(source, Uri):
        return source
    text = os.fspath(source)
    if problem := source_problem(text):
        raise InvalidUriError(without_secrets(text), problem)
    return Uri.parse(text)

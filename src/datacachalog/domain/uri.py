"""Addresses of objects: parsed once, at the edge, and printable without secrets.

A `Uri` says where bytes are; it does not know which adapter serves its scheme.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from datacachalog.domain.errors import InvalidUriError

if TYPE_CHECKING:
    from pathlib import PurePath

_WITH_QUERY = {"http", "https"}  # in an S3 key, `?` is a character like any other
_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}")  # as boto3 has it; AWS is stricter
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
TABLES = "datlake"
"""The scheme of tables in a registry."""
_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}"
_NO_TABLE = "names no table: write datlake://table, or datlake://namespace.table@snapshot"
_TABLE = re.compile(rf"((?:{_NAME}\.)?{_NAME})(?:@([A-Za-z0-9][A-Za-z0-9._-]{{0,63}}))?")


@dataclass(frozen=True, slots=True, order=True, repr=False)
class Uri:
    """The address of one object.

    `scheme` is lower case. `authority` is the bucket or host, empty for files. `path` has no
    leading slash except for files, where it is a local path. It is never percent-encoded:
    an S3 key is an opaque string (as the AWS command line treats it), and a `file://` URI is
    decoded when it is parsed (RFC 8089). A table of a registry, `datlake://ns.table@snap-1`, has
    no authority: which registry it is in, the catalog says.

    >>> Uri.parse("s3://lake/customers/2024 q1.parquet").name
    '2024 q1.parquet'
    """

    scheme: str
    authority: str
    path: str

    @classmethod
    def parse(cls, text: str) -> Uri:
        """The address that `text` names: a URI, or a local path, which may be relative.

        Raises:
            InvalidUriError: it is empty, holds a control character or credentials, or has a `.`
                or `..` segment.
        """
        if not text:
            raise InvalidUriError(text, "is empty")
        if not all(c.isprintable() or unicodedata.category(c) == "Zs" for c in text):
            raise InvalidUriError(without_secrets(text), "holds a control character")
        if match := _SCHEME.match(text):
            return cls._of_uri(match[1].lower(), text[match.end() :], text)
        return cls.of_path(text)

    @classmethod
    def of_path(cls, path: str) -> Uri:
        """The `file` address of a local path.

        >>> str(Uri.of_path("/data/../lake/a.csv"))
        '/lake/a.csv'
        """
        normal = posixpath.normpath(path)
        return cls("file", "", "/" + normal.lstrip("/") if path.startswith("/") else normal)

    def starting_at(self, base: PurePath) -> Uri:
        """The same address, absolute: a relative path starts at the folder `base`."""
        if self.scheme != "file" or self.path.startswith("/"):
            return self
        return Uri.of_path(f"{base.as_posix()}/{self.path}")

    @classmethod
    def _of_uri(cls, scheme: str, rest: str, text: str) -> Uri:
        if scheme == TABLES:
            if _TABLE.fullmatch(rest) is None:
                raise InvalidUriError(without_secrets(text), _NO_TABLE)
            return cls(scheme, "", rest)
        authority, _, path = rest.partition("/")
        if "@" in authority:
            raise InvalidUriError(without_secrets(text), "holds credentials")
        if scheme == "file":
            if authority not in {"", "localhost"}:
                raise InvalidUriError(text, f"names the host {authority!r}; a file is local")
            decoded = unquote(path)
            if not decoded.isprintable():
                raise InvalidUriError(text, "holds a control character")
            return cls.of_path(f"/{decoded}")
        if not authority:
            raise InvalidUriError(text, "has no bucket or host")
        if scheme == "s3" and not _BUCKET.fullmatch(authority):
            raise InvalidUriError(without_secrets(text), "names no bucket that could exist")
        if not {".", ".."}.isdisjoint(_without_query(scheme, path).split("/")):
            raise InvalidUriError(without_secrets(text), "has a '.' or '..' segment")
        return cls(scheme, authority, path)

    @property
    def name(self) -> str:
        """The last segment: the file name of the object, without a query; empty for a prefix."""
        return _without_query(self.scheme, self.path).rpartition("/")[2]

    @property
    def table(self) -> tuple[str, str | None] | None:
        """The table that it names, and the snapshot, if it names one; None for other schemes.

        >>> Uri.parse("datlake://sales_q1@snap-1").table
        ('sales_q1', 'snap-1')
        """
        if self.scheme != TABLES:
            return None
        name, _, snapshot_id = self.path.partition("@")
        return name, snapshot_id or None

    def without_secrets(self) -> Uri:
        """The same address as it may be written down: without a query, which may be signed."""
        if self.scheme not in {"http", "https"} or "?" not in self.path:
            return self
        return Uri(self.scheme, self.authority, self.path.partition("?")[0] + "?***")

    def __str__(self) -> str:
        if self.scheme == "file":
            return self.path
        if self.scheme == TABLES:
            return f"{TABLES}://{self.path}"
        return without_secrets(f"{self.scheme}://{self.authority}/{self.path}")

    def __repr__(self) -> str:
        return f"Uri({str(self)!r})"

    def as_uri(self) -> str:
        """The same address with its scheme spelled out, for files too.

        >>> Uri.of_path("/data/my file.csv").as_uri()
        'file:///data/my%20file.csv'
        """
        return (
            f"file://{quote(self.path, errors='surrogateescape')}"
            if self.scheme == "file"
            else str(self)
        )


def _without_query(scheme: str, path: str) -> str:
    return path.partition("?")[0] if scheme in _WITH_QUERY else path


def without_secrets(text: str) -> str:
    """The text of an address with userinfo and, where the scheme has one, the query taken out.

    >>> without_secrets("https://user:password@host/a.csv?signature=abc")
    'https://***@host/a.csv?***'
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        authority = "***@" + authority.rpartition("@")[2]
    if scheme.lower() in _WITH_QUERY and "?" in path:
        path = path.partition("?")[0] + "?***"
    return f"{scheme}://{authority}{slash}{path}"

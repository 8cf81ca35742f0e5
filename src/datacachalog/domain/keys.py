"""Where in the cache things go: names that are safe on a disk and never collide.

Pure functions, so that every process finds the same place without asking another.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING

from datacachalog.domain.objects import is_immutable_version

if TYPE_CHECKING:
    from datacachalog.domain.objects import ObjectInfo
    from datacachalog.domain.uri import Uri

_MAX_NAME_BYTES = 200
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")  # Windows; shared disks meet it
_PLAIN = re.compile(r"[\w.-]*", re.ASCII)  # nearly every name: no need to look at each character
_UNSAFE = '<>:"/\\|?*'


def source_key(identity: str, uri: Uri) -> str:
    """The cache's name for a source: a readable slug and 48 bits of the identity's SHA-256.

    >>> from datacachalog.domain.uri import Uri
    >>> uri = Uri.parse("s3://lake/customers/customers.parquet")
    >>> source_key(str(uri), uri)
    'customers.parquet-85753e1141fb'
    """
    slug = re.sub(r"[^a-z0-9.]+", "-", uri.name.lower()).strip("-.")[:40]
    return f"{slug or 'object'}-{_digest(identity)[:12]}"


def revision_id(identity: str, info: ObjectInfo, digest: str) -> str:
    """16 hexadecimal digits that name one revision of one source.

    Made of the identity, the store's validators and the size, so that any process can predict it
    from a description alone. An object whose validators promise nothing, because they are weak or
    missing, is known by its bytes.
    """
    known_by = ["revision", _optional(info.etag), _optional(info.version)]
    if not info.revision.is_strong and not is_immutable_version(info.version):
        known_by = ["digest", digest]
    # JSON-free and injective: every field is written with its length.
    fields = [identity, *known_by, str(info.size_bytes)]
    text = "".join(f"{len(field)}:{field}" for field in fields)
    return _digest(text)[:16]


def _digest(text: str) -> str:
    # File names need not be UTF-8: Python carries their other bytes as lone surrogates.
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def revision_id_by_bytes(identity: str, info: ObjectInfo, digest: str) -> str:
    """The id of a revision whose store gives two contents the same validators: by its bytes."""
    return revision_id(identity, replace(info, etag=None, version=None), digest)


def _optional(validator: str | None) -> str:
    return "none" if validator is None else f"={validator}"


def local_name(uri: Uri) -> str:
    """The file name that a cached object keeps: the original one, made safe for any disk.

    >>> from datacachalog.domain.uri import Uri
    >>> local_name(Uri("s3", "lake", "a/.entry.json"))
    '_.entry.json'
    """
    return safe_name(uri.name)


def safe_name(name: str) -> str:
    """`name` as a file can be called on any disk."""
    if _PLAIN.fullmatch(name) is None:
        name = "".join("_" if _is_unsafe(c) else c for c in name)
    if not name.strip(". ") or name.startswith(".") or _RESERVED.match(name):
        name = f"_{name}"
    return _shortened(name)


def _is_unsafe(character: str) -> bool:
    # Cc and Cf: control and formatting characters, among them the ones that turn text around.
    return character in _UNSAFE or unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _shortened(name: str) -> str:
    """`name` cut in its middle to 200 bytes of UTF-8, its suffix kept."""
    if len(name.encode()) <= _MAX_NAME_BYTES:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix) > 20:
        stem, suffix = name, ""
    room = _MAX_NAME_BYTES - len(f"{dot}{suffix}".encode())
    return stem.encode()[:room].decode(errors="ignore") + (f".{suffix}" if suffix else "")

"""What a store says of an object, and what the cache holds of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from datacachalog.domain.checksum import Checksum
    from datacachalog.domain.uri import Uri


@dataclass(frozen=True, slots=True)
class Revision:
    """The identity of an object's bytes, as its store tells it.

    `etag` is an entity tag with its quotes (RFC 9110 §8.8.3), opaque and never a hash: `"abc"`,
    or `W/"abc"` where the store promises no more than an equivalent body. `version` is the
    store's own version id.
    """

    etag: str | None
    version: str | None
    size_bytes: int

    @property
    def is_strong(self) -> bool:
        """Whether the store promises that equal tags mean equal bytes."""
        return self.etag is not None and not self.etag.startswith("W/")

    def same_bytes(self, other: Revision) -> bool:
        """Whether the store says that both name the same bytes.

        One version id names the same bytes for ever, except `null`, S3's id for what was written
        while versioning was off. Two versions with one strong tag hold the same bytes too.
        """
        if self.size_bytes != other.size_bytes:
            return False
        if self.version == other.version and is_immutable_version(self.version):
            return True
        return self.is_strong and self.etag == other.etag


def is_immutable_version(version: str | None) -> bool:
    """Whether a version id names the same bytes for ever.

    S3 calls the one overwritable version of an object in a bucket without versioning `null`
    (Amazon S3 User Guide, "How S3 Versioning works").
    """
    return version is not None and version != "null"


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object, or one version of it, as the store described it.

    `last_modified` is the store's clock, aware; never compare it with the local one. A delete
    marker is a version with `deleted=True` and size 0. `digest` is the BLAKE3 of the bytes in
    hexadecimal, where whoever made this record has read them all. `file_name` is what a copy is to
    be called where the URI does not say it, as of a table; a cache does not tell it again.
    """

    uri: Uri
    size_bytes: int
    etag: str | None = None
    version: str | None = None
    last_modified: datetime | None = None
    deleted: bool = False
    digest: str | None = None
    file_name: str | None = field(default=None, compare=False)

    @property
    def revision(self) -> Revision:
        """The identity of these bytes."""
        return Revision(self.etag, self.version, self.size_bytes)


class NotModified(Enum):
    """The answer to a conditional download whose object is still the known revision."""

    NOT_MODIFIED = "not-modified"


NOT_MODIFIED: Final = NotModified.NOT_MODIFIED


class Existing(Enum):
    """What an upload may replace, where it is not one known revision."""

    ANY = "any"
    ABSENT = "absent"


ANY: Final = Existing.ANY
ABSENT: Final = Existing.ABSENT

Expected: TypeAlias = Existing | Revision
"""What an upload may replace: anything, nothing, or exactly one revision."""


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One revision of an object, whole and immutable, in the cache.

    `path` is what readers get; it never changes while the entry exists. `mtime_ns` is its
    modification time as it was published: another one means that somebody tampered with it.
    `checked_at` is when the latest request that confirmed the entry was begun, by the local clock.
    """

    identity: str
    revision_id: str
    path: Path
    info: ObjectInfo
    digest: str
    mtime_ns: int
    checked_at: datetime
    checksum: Checksum | None = None
    """What the bytes were declared to come to when they arrived, and did come to."""

    @property
    def revision(self) -> Revision:
        """The identity of the entry's bytes."""
        return self.info.revision

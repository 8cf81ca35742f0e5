"""Which object a path of the API means, and who may read or write it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from datacachalog.domain.uri import Uri
from datacachalog.server.catalog.locations import MAX_URI_CHARACTERS, all_locations
from datacachalog.server.errors import ForbiddenProblem, InvalidProblem, NotFoundProblem
from datacachalog.server.identity.access import has_on_catalog, has_on_location, is_true
from datacachalog.server.schema import snapshots

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from datacachalog.server.catalog.locations import Location
    from datacachalog.server.identity.access import Caller, Privilege

OWN_BUCKET = "objects"
"""What the API calls the registry's own folder; no bucket of S3 is reached by that name."""

_MAX_SEGMENT_BYTES = 255  # as file systems have it
_MAX_KEY_BYTES = 1024  # as S3 has it
_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}")
_REFUSED = re.compile(r"[?#\\*\[\]{}%\ufffd]|::")
_RESERVED = (".datlake", ".datacachalog")  # begin the names of what is on its way


@dataclass(frozen=True, slots=True)
class Place:
    """An object in a location. `key` is what follows the location's prefix."""

    location: Location
    key: str

    @property
    def text(self) -> str:
        """Its address in its plainest form, in which it can be registered."""
        return f"{self.location.root}{self.key}"

    @property
    def uri(self) -> Uri:
        """Its address."""
        location = self.location
        bucket = "" if location.scheme == "file" else location.bucket
        return Uri(location.scheme, bucket, f"{location.prefix}{self.key}")


def refuse_key(key: str) -> None:
    """Refuses what is no plain name of one object, whatever the store makes of it.

    Raises:
        InvalidProblem: it is none.
    """
    segments = key.split("/")
    if not {"", ".", ".."}.isdisjoint(segments):
        raise InvalidProblem("the path must name one object, without '.', '..' or empty segments")
    if _REFUSED.search(key) or not key.isprintable() or unicodedata.normalize("NFC", key) != key:
        raise InvalidProblem("the path holds characters that no object here has in its name")
    if any(one.lower().startswith(_RESERVED) for one in segments):
        raise InvalidProblem(f"names that begin with {' or '.join(_RESERVED)} are reserved")
    longest = max(len(one.encode()) for one in segments)
    if longest > _MAX_SEGMENT_BYTES or len(key.encode()) > _MAX_KEY_BYTES:
        raise InvalidProblem(
            f"a name has at most {_MAX_SEGMENT_BYTES} bytes, a path {_MAX_KEY_BYTES}"
        )


def place_for(
    connection: Connection, caller: Caller, own_root: str, bucket: str, key: str, *needed: Privilege
) -> Place:
    """The object of a path, if the caller has one of the privileges on its location.

    `own_root` is the folder of the bucket `objects`, with a slash at its end.

    Raises:
        InvalidProblem: it names no object.
        ForbiddenProblem: the caller has not. Whether there is such a place is not told.
        NotFoundProblem: there is none, and the caller has the privilege everywhere.
    """
    refuse_key(key)
    found = _place(all_locations(connection), own_root, bucket, key)
    if found is not None and is_true(
        connection, has_on_location(caller, found.location.id, *needed)
    ):
        is_long = found.location.scheme == "s3" and len(found.uri.path.encode()) > _MAX_KEY_BYTES
        if is_long or len(found.text) > MAX_URI_CHARACTERS:
            raise InvalidProblem(f"its URI would be longer than {MAX_URI_CHARACTERS} characters")
        return found
    if found is None and is_true(connection, has_on_catalog(caller, *needed)):
        raise NotFoundProblem(f"no storage location holds '{bucket}/{key}'")
    told = f"'{bucket}/{key}' is in no storage location that the caller may use for this"
    raise ForbiddenProblem(told)


def _place(locations: list[Location], own_root: str, bucket: str, key: str) -> Place | None:
    for one in locations:
        if bucket == OWN_BUCKET and one.scheme == "file" and one.prefix == own_root:
            return Place(one, key)
        is_of_s3 = one.scheme == "s3" and one.bucket == bucket != OWN_BUCKET
        if is_of_s3 and _BUCKET.fullmatch(bucket) and key.startswith(one.prefix):
            return Place(one, key.removeprefix(one.prefix)) if key != one.prefix else None
    return None


def is_of_a_snapshot(connection: Connection, place: Place) -> bool:
    """Whether a table has, or has had, these bytes: then they stay as they are."""
    query = select(snapshots.c.id).where(snapshots.c.uri == place.uri.as_uri()).limit(1)
    return connection.execute(query).first() is not None

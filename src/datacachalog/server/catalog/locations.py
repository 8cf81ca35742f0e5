"""Storage locations: the only places that the registry reads from and writes to.

A caller's URI is hostile input. It is taken apart here, held against the registered locations, and
never handed to a library as it came: what it says about endpoints, credentials or other programs
means nothing.
"""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from datacachalog.adapters.storage.registry import StorageSettings, storage_of
from datacachalog.domain.errors import InvalidUriError
from datacachalog.domain.storage_options import StorageOptions
from datacachalog.domain.uri import Uri
from datacachalog.server.errors import ForbiddenProblem, InvalidProblem
from datacachalog.server.identity.access import Privilege, has_on_location, is_true
from datacachalog.server.identity.principals import now
from datacachalog.server.ids import new_id
from datacachalog.server.schema import locations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from datacachalog.ports import StoragePort
    from datacachalog.server.identity.access import Caller

MAX_URI_CHARACTERS = 1024
INCOMING = ".datlake-uploads"
"""The folder of a location in files where uploads are on their way: they are renamed from there."""
_SCHEMES = {"s3", "file"}
_REFUSED = re.compile(r"[?#\\*\[\]{}%\x00-\x1f\x7f]|::")


@dataclass(frozen=True, slots=True)
class Location:
    """A bucket, or a folder, and the prefix in it that this is about."""

    id: str
    scheme: str
    bucket: str
    prefix: str
    options: Mapping[str, Any]

    @property
    def root(self) -> str:
        """Where it begins, as a URI; it ends in a slash."""
        if self.scheme == "file":
            return f"file://{self.prefix}"
        return f"{self.scheme}://{self.bucket}/{self.prefix}"

    def holds(self, uri: Uri) -> bool:
        """Whether an object is in it."""
        if (uri.scheme, uri.authority) != (
            self.scheme,
            "" if self.scheme == "file" else self.bucket,
        ):
            return False
        if self.scheme != "file":
            return uri.path.startswith(self.prefix)
        # No link, not even to what is in it, too: an object has one name, by which it is known
        # whose it is.
        return uri.path.startswith(self.prefix) and os.path.realpath(uri.path) == uri.path


def hostile_uri(text: str) -> Uri:
    """The address that a caller's text means.

    Raises:
        InvalidProblem: it is none of one object in S3 or in a file, in its plainest form.
    """
    if len(text) > MAX_URI_CHARACTERS:
        raise InvalidProblem(f"the URI is longer than {MAX_URI_CHARACTERS} characters")
    scheme, mark, rest = text.partition("://")
    if not mark or scheme not in _SCHEMES:
        raise InvalidProblem("the URI must begin with s3:// or file://")
    authority, _, path = rest.partition("/")
    if _REFUSED.search(rest) or unicodedata.normalize("NFC", text) != text:
        raise InvalidProblem("the URI holds characters that no object here has in its name")
    if ":" in authority or "@" in authority:
        raise InvalidProblem("the URI must name a bucket, without credentials or a port")
    segments = path.split("/")
    if not path or not {"", ".", ".."}.isdisjoint(segments):
        raise InvalidProblem("the URI must name one object, without '.', '..' or empty segments")
    if INCOMING in map(str.lower, segments):
        raise InvalidProblem(f"{INCOMING!r} holds what is on its way: it is no object yet")
    try:
        return Uri.parse(text)
    except InvalidUriError as error:
        raise InvalidProblem(str(error)) from error


def create_location(
    connection: Connection, scheme: str, bucket: str, prefix: str, options: Mapping[str, Any]
) -> str:
    """Registers a location; its id. `prefix` is empty or ends in a slash."""
    made = new_id("loc")
    connection.execute(
        insert(locations).values(
            id=made,
            scheme=scheme,
            bucket=bucket,
            prefix=prefix,
            options=dict(options),
            created_at=now(),
        )
    )
    return made


def all_locations(connection: Connection) -> list[Location]:
    """Every location, the narrowest first."""
    rows = connection.execute(select(locations)).all()
    found = [Location(one.id, one.scheme, one.bucket, one.prefix, one.options) for one in rows]
    return sorted(found, key=lambda one: len(one.prefix), reverse=True)


def location_for(connection: Connection, caller: Caller, uri: Uri) -> Location:
    """The narrowest location that holds an object, if the caller may register what is there.

    Raises:
        ForbiddenProblem: there is none. Whether one is closed to the caller is not told.
    """
    for location in all_locations(connection):
        if location.holds(uri):
            if is_true(connection, has_on_location(caller, location.id, Privilege.INSERT)):
                return location
            break
    told = (
        f"{uri.as_uri()} is in no storage location that the caller may use; administrators add one"
        " by 'datlake location add', and grant INSERT on it"
    )
    raise ForbiddenProblem(told)


def storage_at(location: Location, environ: Mapping[str, str]) -> StoragePort:
    """The store of a location, as the registry is configured to reach it."""
    table = {}
    if location.scheme != "file":
        table[f"{location.scheme}://{location.bucket}/"] = StorageOptions(**location.options)
    return storage_of(StorageSettings(options=table, environ=environ))

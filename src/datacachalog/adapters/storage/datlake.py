"""Tables of a registry, as objects: `datlake://table`, or `datlake://table@snapshot`.

The registry says which snapshot is current, and where its bytes are; the storage of all other
schemes moves them. A table's version is the id of its snapshot, which is all that tells one
revision from another: two snapshots may be of equal bytes, and who pushes must know which one he
has seen.

The registry keeps snapshots and has nobody delete objects. What was uploaded and then refused
stays where it is, under a name that nothing refers to.
"""

from __future__ import annotations

import re
import secrets
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from datacachalog.adapters.disk import cache_errors
from datacachalog.adapters.journal import discard
from datacachalog.adapters.storage.registry import storage_of
from datacachalog.domain.errors import (
    ApiConflictError,
    AuthError,
    ConflictError,
    ForbiddenError,
    JobFailedError,
    NotAnObjectError,
    NotFoundError,
    ObjectNotFoundError,
    ObjectReplacedError,
    RemoteChangedError,
    ServerError,
    StorageAccessError,
    StorageError,
    StorageUnavailableError,
    TransientError,
    UnsupportedOperationError,
    UnsupportedSchemeError,
    ValidationError,
    VersionNotFoundError,
)
from datacachalog.domain.objects import (
    ABSENT,
    ANY,
    NOT_MODIFIED,
    ObjectInfo,
    Revision,
    is_immutable_version,
)
from datacachalog.domain.registry import Registration, difference, format_named
from datacachalog.domain.uri import TABLES, Uri
from datacachalog.domain.versions import version_at
from datacachalog.ports import SILENT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from datacachalog.adapters.storage.registry import StorageSettings
    from datacachalog.domain.objects import Expected, NotModified
    from datacachalog.domain.registry import Snapshot
    from datacachalog.ports import DatlakeApiPort, StoragePort, TransferProgress

OWN_BUCKET = "objects"
"""What a registry's API calls the folder that it has itself."""
_NOBODY = "none"
"""The parent of a table's first snapshot, as the API calls it."""
_WORD = re.compile(r"\.[a-z0-9]{1,31}")
_SUFFIX = re.compile(r"(?:\.[A-Za-z0-9]{1,10})?\.(?:gz|zst|bz2|xz)\Z|\.[A-Za-z0-9]{1,10}\Z")
_ODD = re.compile(r"[^A-Za-z0-9._-]+")  # what no location minds in a name, and no query


class DatlakeStorage:
    """The tables that `api` knows; `objects` is the storage of all other schemes."""

    def __init__(self, api: DatlakeApiPort, objects: StoragePort) -> None:
        self._api, self._objects = api, objects

    def identity(self, uri: Uri) -> str:
        return f"{self._api.identity()} {uri}"

    def stat(self, uri: Uri, *, version: str | None = None) -> ObjectInfo:
        return _info(uri, self._snapshot(uri, version))

    def download(
        self,
        uri: Uri,
        dest: Path,
        *,
        version: str | None = None,
        unless: Revision | None = None,
        resume: bool = False,
        progress: TransferProgress = SILENT,
    ) -> ObjectInfo | NotModified:
        known = None if unless is None else unless.version
        if known is not None and known == (version or _table(uri)[1]):
            return NOT_MODIFIED  # what it names never changes: nobody need be asked
        snapshot = self._snapshot(uri, version)
        if known == snapshot.snapshot_id:
            return NOT_MODIFIED
        digest = self._bring(uri, snapshot, dest, progress, resume=resume)
        return _info(uri, snapshot, digest)

    def _snapshot(self, uri: Uri, version: str | None) -> Snapshot:
        """What the registry says of the snapshot that is asked for, in one request."""
        table, named = _table(uri)
        if None not in {version, named} and version != named:
            raise VersionNotFoundError(str(uri), f"{version}: its source names {named}")
        wanted = version or named
        with _asked(uri, wanted):
            if wanted is None:
                return self._api.latest(table)
            found = self._api.snapshot(table, wanted)
        if wanted not in {found.snapshot_id, str(found.seq)}:  # as of `latest`: what else moves
            raise VersionNotFoundError(str(uri), f"{wanted}: that is no snapshot's id")
        return found

    def _bring(
        self, uri: Uri, snapshot: Snapshot, dest: Path, progress: TransferProgress, *, resume: bool
    ) -> str | None:
        """Writes a snapshot's bytes to `dest`; their BLAKE3, where that is known."""
        place, version = _place(uri, snapshot), _version(snapshot)
        if place.scheme == "file" and not self._is_here(place, snapshot):
            self._bring_from_registry(uri, snapshot, dest, progress)
            return None
        with _of_the_object(uri, snapshot):
            found = self._objects.download(
                place, dest, version=version, resume=resume, progress=progress
            )
        assert isinstance(found, ObjectInfo), "no revision was offered"  # noqa: S101 - for the type checker
        if problem := difference(snapshot, found):
            discard(dest)
            raise ObjectReplacedError(str(uri), f"{snapshot.uri!r} {problem}")
        return found.digest

    def _is_here(self, place: Uri, snapshot: Snapshot) -> bool:
        """Whether a file of the registry is on this machine: its path may mean another one here."""
        try:
            return difference(snapshot, self._objects.stat(place)) is None
        except StorageError:
            return False

    def _bring_from_registry(
        self, uri: Uri, snapshot: Snapshot, dest: Path, progress: TransferProgress
    ) -> None:
        """Writes a file of the registry's own machine to `dest`."""
        discard(dest)  # what was interrupted cannot be gone on with
        with cache_errors(dest):
            dest.parent.mkdir(parents=True, exist_ok=True)
        try:
            with _asked(uri):
                self._api.download_snapshot(snapshot, dest, progress)
        except ApiConflictError as error:
            raise ObjectReplacedError(str(uri), str(error)) from error
        except ObjectNotFoundError as error:
            raise _gone(uri, snapshot) from error

    def walk(self, prefix: Uri) -> Iterator[ObjectInfo]:
        told = "the tables of a registry are listed by 'datlake tables'"
        raise UnsupportedOperationError(str(prefix), told)

    def versions(self, uri: Uri) -> Iterator[ObjectInfo]:
        table, named = _table(uri)
        if named is not None:
            yield self.stat(uri)
            return
        with _asked(uri):
            for snapshot in self._api.snapshots(table):
                yield _info(uri, snapshot)

    def version_at(self, uri: Uri, as_of: datetime) -> ObjectInfo:
        table, named = _table(uri)
        if named is not None:
            return version_at(uri, self.versions(uri), as_of)
        with _asked(uri, f"as of {as_of.isoformat()}"):
            return _info(uri, self._api.latest_as_of(table, as_of))

    def read(self, uri: Uri, start: int, end: int, *, version: str | None = None) -> bytes:
        snapshot = self._snapshot(uri, version)
        place, kept = _place(uri, snapshot), _version(snapshot)
        with _of_the_object(uri, snapshot):
            found = self._objects.stat(place, version=kept)
            if problem := difference(snapshot, found):
                raise ObjectReplacedError(str(uri), f"{snapshot.uri!r} {problem}")
            return self._objects.read(place, start, end, version=kept)

    def upload(
        self,
        path: Path,
        uri: Uri,
        *,
        expect: Expected = ANY,
        progress: TransferProgress = SILENT,
    ) -> ObjectInfo:
        table, named = _table(uri)
        if named is not None:
            told = "it names one snapshot, which never changes; push to the table"
            raise UnsupportedOperationError(str(uri), told)
        parent = _parent(uri, expect)
        with cache_errors(path):
            path.open("rb").close()  # before anybody is asked
        latest = self._latest(uri, parent)
        address = self._put(uri, path, latest, progress)
        asked = Registration(table, address, _format(path, latest), expected_parent=parent)
        left = f"what was uploaded is at {address!r}, and in no table"
        try:
            with _asked(uri):
                made = self._api.register(asked)
        except JobFailedError as error:
            error.add_note(left)
            raise
        except ApiConflictError as error:
            conflict = ConflictError(str(uri), f"{parent}", "another snapshot")
            conflict.add_note(f"{error}; {left}")
            raise conflict from error
        return _info(uri, made)

    def _latest(self, uri: Uri, parent: str | None) -> Snapshot | None:
        """What is current before a push; None where nothing is, or the caller may not know.

        Raises:
            ConflictError: it is not `parent`. The registry will look again, and for certain; this
                spares an upload.
        """
        table, _ = _table(uri)
        try:
            with _asked(uri):
                latest = self._api.latest(table)
        except StorageAccessError as error:
            if isinstance(error.__cause__, ForbiddenError):  # may write without reading, perhaps
                return None
            raise
        except ObjectNotFoundError as error:
            if parent not in {None, _NOBODY}:
                raise ConflictError(str(uri), f"{parent}", "absent") from error
            return None
        if parent == _NOBODY:
            raise ConflictError(str(uri), "absent", latest.snapshot_id)
        if parent not in {None, latest.snapshot_id}:
            raise ConflictError(str(uri), f"{parent}", latest.snapshot_id)
        return latest

    def _put(
        self, uri: Uri, path: Path, latest: Snapshot | None, progress: TransferProgress
    ) -> str:
        """Puts a file beside the latest snapshot's object, as a new one; its address.

        A registry's own folder need not be on this machine, so that it is asked to.
        """
        table, _ = _table(uri)
        place = None if latest is None else _place(uri, latest)
        if place is None or place.scheme == "file":
            with _asked(uri):
                return self._api.upload(path, OWN_BUCKET, f"{table}/{_fresh(path)}", progress)
        folder, slash, _ = place.path.rpartition("/")
        fresh = Uri(place.scheme, place.authority, f"{folder}{slash}{_fresh(path)}")
        with _told_of(uri, fresh):
            self._objects.upload(path, fresh, expect=ABSENT, progress=progress)
        return fresh.as_uri()


def _table(uri: Uri) -> tuple[str, str | None]:
    found = uri.table
    assert found is not None, f"{uri} is no table"  # noqa: S101 - the router hands out no other
    return found


def _info(uri: Uri, snapshot: Snapshot, digest: str | None = None) -> ObjectInfo:
    """A snapshot as an object. Its object's own tag is left out: see the top of this module."""
    return ObjectInfo(
        uri,
        snapshot.size_bytes,
        version=snapshot.snapshot_id,
        last_modified=snapshot.created_at,
        digest=digest,
        file_name=_table(uri)[0] + _suffix(snapshot),
    )


def _suffix(snapshot: Snapshot) -> str:
    """What the name of a copy ends in: readers go by it."""
    match = _SUFFIX.search(snapshot.uri)
    return match[0] if match else f".{snapshot.format}"


def _place(uri: Uri, snapshot: Snapshot) -> Uri:
    """Where a snapshot's object is."""
    place = Uri.parse(snapshot.uri)
    if place.scheme == TABLES:
        raise ObjectNotFoundError(str(uri), f"its object is said to be the table {snapshot.uri!r}")
    return place


def _version(snapshot: Snapshot) -> str | None:
    return snapshot.version if is_immutable_version(snapshot.version) else None


def _parent(uri: Uri, expect: Expected) -> str | None:
    if not isinstance(expect, Revision):
        return _NOBODY if expect is ABSENT else None
    if expect.version is None:
        told = "the expected revision names no snapshot"
        raise UnsupportedOperationError(str(uri), told)
    return expect.version


def _format(path: Path, latest: Snapshot | None) -> str:
    """Which format a file has, by its name; where that says nothing, it is that of the table."""
    if (named := format_named(path.name)) is not None:
        return named
    if latest is not None:
        return latest.format
    suffix = path.suffix.lower()
    return suffix[1:] if _WORD.fullmatch(suffix) else "parquet"


def _fresh(path: Path) -> str:
    """A name that no object has yet: when it was made, chance, and the file's own name."""
    name = _ODD.sub("-", path.name)[-100:].lstrip(".")
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(8)}-{name}"


@contextmanager
def _asked(uri: Uri, snapshot_id: str | None = None) -> Iterator[None]:
    """Turns a registry's errors into the storage port's; what they say stays, with the request."""
    try:
        yield
    except NotFoundError as error:
        if snapshot_id is not None:
            raise VersionNotFoundError(str(uri), f"{snapshot_id} ({error})") from error
        raise ObjectNotFoundError(str(uri), str(error)) from error
    except ValidationError as error:
        if snapshot_id is None:
            raise
        raise VersionNotFoundError(str(uri), f"{snapshot_id} ({error})") from error
    except AuthError as error:
        raise StorageAccessError(str(uri), str(error)) from error
    except (TransientError, ServerError) as error:
        raise StorageUnavailableError(str(uri), str(error)) from error


@contextmanager
def _of_the_object(uri: Uri, snapshot: Snapshot) -> Iterator[None]:
    """Has the errors of a snapshot's object tell whose object it is."""
    try:
        with _told_of(uri, _place(uri, snapshot)):
            yield
    except (ObjectNotFoundError, VersionNotFoundError, NotAnObjectError) as error:
        raise _gone(uri, snapshot) from error
    except ObjectReplacedError:
        raise
    except RemoteChangedError as error:
        raise ObjectReplacedError(str(uri), str(error)) from error


def _gone(uri: Uri, snapshot: Snapshot) -> ObjectNotFoundError:
    told = f"the object of {snapshot.snapshot_id}, {snapshot.uri!r}, is gone"
    return ObjectNotFoundError(str(uri), told)


@contextmanager
def _told_of(uri: Uri, place: Uri) -> Iterator[None]:
    try:
        yield
    except (StorageAccessError, StorageUnavailableError) as error:
        kind = type(error)
        raise kind(str(uri), f"its object {str(place)!r}: {error.detail}") from error


def build(settings: StorageSettings) -> DatlakeStorage:
    """The adapter as the registry of adapters makes it: the bytes are in its other stores.

    Raises:
        UnsupportedSchemeError: it is not known what to ask of tables.
    """
    if settings.registry is None:
        raise UnsupportedSchemeError(f"{TABLES}://", "there is no registry to ask")
    return DatlakeStorage(settings.registry(), storage_of(settings))

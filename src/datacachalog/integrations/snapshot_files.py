"""Where the bytes of snapshots are for this machine, and whether they are what was registered."""

from __future__ import annotations

import importlib
import os
import shutil
import tempfile
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from datacachalog.adapters.api.http import HttpApi
from datacachalog.adapters.storage.filesystem import FilesystemStorage
from datacachalog.adapters.storage.registry import StorageSettings
from datacachalog.adapters.storage.retrying import retried
from datacachalog.domain.errors import (
    ApiConflictError,
    ForbiddenError,
    NotFoundError,
    ObjectNotFoundError,
    ObjectReplacedError,
    OfflineError,
    StorageError,
    UnsupportedSchemeError,
)
from datacachalog.domain.objects import is_immutable_version
from datacachalog.domain.registry import difference
from datacachalog.domain.uri import Uri
from datacachalog.integrations.object_file import ObjectFile, local_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datacachalog.adapters.api.transport import Transport
    from datacachalog.adapters.storage.s3 import S3Storage
    from datacachalog.domain.objects import ObjectInfo
    from datacachalog.domain.registry import Snapshot


@dataclass(frozen=True, slots=True)
class RemoteObject:
    """An object in S3: one revision of it, and nothing else. `version` is asked for if it is set.

    Who may read an object need not have the permission to read its versions.
    """

    uri: Uri
    info: ObjectInfo
    storage: S3Storage
    version: str | None = None

    def open(self) -> ObjectFile:
        """The object as a file, each range of which is asked for with the revision's tag."""
        revision = self.info.revision

        def read_range(start: int, end: int) -> bytes:
            return retried(
                lambda: self.storage.read_revision(
                    self.uri, start, end, revision, version=self.version
                )
            )

        return ObjectFile(self.info.size_bytes, read_range)


Place: TypeAlias = Path | RemoteObject
"""Where the bytes of a snapshot are: a file on this machine, or an object in S3."""


def opened(place: Place) -> ObjectFile:
    """The bytes at a place as a file."""
    return local_file(place) if isinstance(place, Path) else place.open()


class SnapshotFiles:
    """Finds snapshots' objects: in S3, in this machine's files, or through their registry.

    S3 is reached as the AWS variables and files of the environment say. Files of the registry that
    are not on this machine are downloaded from it, once, and kept as long as this object is.
    """

    def __init__(self, transport: Transport, environ: Mapping[str, str]) -> None:
        self._api, self._settings = HttpApi(transport), StorageSettings(environ=environ)
        self._s3: S3Storage | None = None
        self._folders: dict[int, Path] = {}
        self._downloads: dict[tuple[int, str], Path] = {}
        self._locks: dict[int, threading.Lock] = {}

    @property
    def s3(self) -> S3Storage:
        """The store of all `s3://` objects."""
        if self._s3 is None:
            # By name: it takes 60 ms, which who reads local files need not wait.
            module = importlib.import_module("datacachalog.adapters.storage.s3")
            self._s3 = cast("S3Storage", module.S3Storage(self._settings))
        return self._s3

    def stat(self, uri: Uri, *, version: str | None = None) -> RemoteObject:
        """The object that is there now, or a version of it.

        Raises:
            StorageError: it is not there, or cannot be reached, or may not be asked for.
        """
        self._refuse_offline(uri)
        info = retried(lambda: self.s3.stat(uri, version=version))
        return RemoteObject(uri, info, self.s3, version)

    def _refuse_offline(self, uri: Uri) -> None:
        if self._api.transport.settings.offline:
            raise OfflineError(str(uri))

    def find(self, snapshot: Snapshot) -> Place:
        """Where a snapshot's bytes are; one request to the store, none for a local file.

        They are compared with the size and the entity tag that they were registered with. Of an
        object that was replaced since, the version is read that was registered, if the store has
        kept it.

        Raises:
            ObjectReplacedError: another object is there now.
            UnsupportedSchemeError: it is neither in S3 nor a file.
            StorageError: it is not there, or cannot be reached.
            ApiError: the registry does not give it.
        """
        uri = Uri.parse(snapshot.uri)
        if uri.scheme == "file":
            return self._file(snapshot, uri)
        if uri.scheme != "s3":
            raise UnsupportedSchemeError(snapshot.uri, "tables in S3 and in files are read")
        try:
            found = self.stat(uri)
            problem = difference(snapshot, found.info)
        except ObjectNotFoundError:
            if not is_immutable_version(snapshot.version):
                raise
            problem = "it was deleted"
        if problem is None:
            return found
        if not is_immutable_version(snapshot.version):
            raise ObjectReplacedError(snapshot.uri, problem)
        return self.stat(uri, version=snapshot.version)

    def _file(self, snapshot: Snapshot, uri: Uri) -> Path:
        try:
            found = FilesystemStorage().stat(uri)
        except StorageError:  # this is not the registry's machine
            problem = None
        else:
            if (problem := difference(snapshot, found)) is None:
                return Path(uri.path)
        process = os.getpid()  # a fork would look where its parent has removed all
        with self._locks.setdefault(process, threading.Lock()):
            key = process, snapshot.snapshot_id
            if key not in self._downloads:
                try:
                    self._downloads[key] = self._downloaded(snapshot, uri)
                except (ObjectNotFoundError, ObjectReplacedError, ForbiddenError):
                    if problem is not None:
                        raise ObjectReplacedError(snapshot.uri, problem) from None
                    raise
            return self._downloads[key]

    def _downloaded(self, snapshot: Snapshot, uri: Uri) -> Path:
        self._refuse_offline(uri)
        process = os.getpid()
        if process not in self._folders:
            self._folders[process] = Path(tempfile.mkdtemp(prefix="datlake-"))
            weakref.finalize(self, _remove, self._folders[process], process)
        path = self._folders[process] / str(len(self._downloads)) / uri.name
        path.parent.mkdir(exist_ok=True)  # of one that failed
        try:
            self._api.download_snapshot(snapshot, path)
        except NotFoundError as error:
            told = "not on this machine, nor in the folder of the registry's own objects"
            raise ObjectNotFoundError(snapshot.uri, told) from error
        except ApiConflictError as error:
            raise ObjectReplacedError(snapshot.uri, "the registry has another object") from error
        if (size := path.stat().st_size) != snapshot.size_bytes:
            detail = f"{snapshot.size_bytes} bytes were, and {size} came from the registry"
            raise ObjectReplacedError(snapshot.uri, detail)
        return path


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)

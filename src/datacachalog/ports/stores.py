"""Where objects live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from datacachalog.domain.objects import ANY
from datacachalog.ports.progress import SILENT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from datacachalog.domain.objects import (
        Expected,
        NotModified,
        ObjectInfo,
        Revision,
    )
    from datacachalog.domain.uri import Uri
    from datacachalog.ports.progress import TransferProgress


@runtime_checkable
class HistoryPort(Protocol):
    """What a store may be beside a `StoragePort`: one that knows what was current when.

    Of others that is the version that was made last, which is not so where versions come back.
    """

    def version_at(self, uri: Uri, as_of: datetime) -> ObjectInfo:
        """The version that was current at `as_of`, by the store's clock.

        Raises:
            VersionNotFoundError: there was none.
        """
        ...


class StoragePort(Protocol):
    """A place where objects live.

    Every method raises, and raises nothing else that is not a bug:

    - `ObjectNotFoundError`, or `VersionNotFoundError` where `version` was given
    - `NotAnObjectError` where the URI names a folder
    - `StorageAccessError` where credentials are missing, wrong or not enough
    - `StorageUnavailableError` where the store cannot be reached or fails, in bounded time
    - `InvalidUriError` where the store cannot have an object of that name
    """

    def identity(self, uri: Uri) -> str:
        """A name for the object's place that differs wherever its bytes may.

        The URI and whatever else decides whose bytes it means, such as an endpoint. Stable, never
        holds a credential, and costs no request.
        """
        ...

    def stat(self, uri: Uri, *, version: str | None = None) -> ObjectInfo:
        """Describes the current object, or one version of it, without reading it."""
        ...

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
        """Writes the object's bytes to `dest`, and returns the info of exactly these bytes.

        Where the object is still the revision `unless`, nothing is written and `NOT_MODIFIED` is
        returned; both answers cost one request. `dest` must not exist; its folder is made when
        the first byte arrives. All bytes of a returned `dest` are of one revision.

        On an error `dest` may be left behind half-written. With a file `<dest>.journal` beside it,
        a later call with `resume` can go on where this one ended; without one, `dest` is only the
        caller's to remove. With `resume`, both may be there: what is right of an interrupted
        download of the same object is not moved again, and counts as moved at once; anything else
        that is there is replaced. An adapter that cannot go on replaces it always.

        Raises:
            RemoteChangedError: the object kept changing while it was read.
            IntegrityError: the bytes are not those that the store has a checksum of.
            CacheFullError: the disk that `dest` is on is full.
            CachePermissionError: `dest` cannot be made.
        """
        ...

    def upload(
        self,
        path: Path,
        uri: Uri,
        *,
        expect: Expected = ANY,
        progress: TransferProgress = SILENT,
    ) -> ObjectInfo:
        """Makes the file's bytes the object's, atomically, and returns its new info.

        No reader sees a part of it, and nothing changes where an error is raised. Memory is
        bounded, whatever the size. `path` must not change meanwhile.

        Raises:
            ConflictError: the object is not what was expected: not that revision, or not absent.
            UnsupportedOperationError: the store does not honour such an expectation.
            CacheError: `path`, which is in the cache, cannot be read.
        """
        ...

    def walk(self, prefix: Uri) -> Iterator[ObjectInfo]:
        """Every object whose address starts with `prefix`, in whatever order the store lists them.

        `prefix` is a string, not a folder: `a/b` matches `a/bc`, unless it ends in `/`. No objects
        is an empty iterator, a missing bucket an `ObjectNotFoundError`.
        """
        ...

    def versions(self, uri: Uri) -> Iterator[ObjectInfo]:
        """Every version that the store keeps of an object, newest first.

        A store without versions has exactly one, whose `version` is None.
        """
        ...

    def read(self, uri: Uri, start: int, end: int, *, version: str | None = None) -> bytes:
        """The bytes `start` up to, not including, `end`; fewer where the object ends before."""
        ...

"""Files as the registry reads them: by their own paths only, whatever is done to those meanwhile.

That a path has no link in it is seen before it is opened, and whoever may write to a folder of it
could put one there in between. So each step is opened from the one before, and no link is followed.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from datacachalog.adapters.storage.filesystem import info_of, reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datacachalog.domain.objects import ObjectInfo
    from datacachalog.domain.uri import Uri

_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe would have us wait


class Readable(Protocol):
    """What of a store is needed to look at an object; as `StoragePort` has it."""

    def stat(self, uri: Uri, *, version: str | None = None) -> ObjectInfo:
        """What is there."""
        ...

    def read(self, uri: Uri, start: int, end: int, *, version: str | None = None) -> bytes:
        """Some of its bytes."""
        ...


class PlainFiles:
    """Files by absolute paths without links; what a link leads to is not there."""

    def stat(self, uri: Uri, *, version: str | None = None) -> ObjectInfo:  # noqa: ARG002 - files have one
        with reading(uri), _opened(uri.path) as file:
            return info_of(uri, os.fstat(file))

    def read(self, uri: Uri, start: int, end: int, *, version: str | None = None) -> bytes:  # noqa: ARG002 - as above
        with reading(uri), _opened(uri.path) as file:
            info_of(uri, os.fstat(file))  # or it is no file
            return os.pread(file, max(0, end - start), start)


@contextmanager
def _opened(path: str) -> Iterator[int]:
    """A descriptor of the file, which is closed in the end."""
    *folders, name = path.strip("/").split("/")
    at = os.open("/", _FOLDER)
    try:
        for folder in folders:
            inner = os.open(folder, _FOLDER, dir_fd=at)
            os.close(at)
            at = inner
        inner = os.open(name, _FILE, dir_fd=at)
        os.close(at)
        at = inner
        yield at
    finally:
        os.close(at)

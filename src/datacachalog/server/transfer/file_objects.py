"""Uploads to, and reads from, a location that is a folder of this machine.

Whatever is below the folder may have been planted there: every step of a path is opened by its
name in the folder before, and no link is followed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import threading
from typing import TYPE_CHECKING

from datacachalog.adapters.disk import write_at
from datacachalog.adapters.storage.filesystem import info_of
from datacachalog.domain.errors import NotAnObjectError
from datacachalog.server.catalog.locations import INCOMING
from datacachalog.server.errors import (
    ConflictProblem,
    ForbiddenProblem,
    FullProblem,
    InvalidProblem,
    StoreRefusesProblem,
    UnavailableProblem,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datacachalog.domain.objects import ObjectInfo
    from datacachalog.server.errors import Problem
    from datacachalog.server.transfer.objects import Place

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a pipe must not wait for its writer; regular files do not heed it.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_NEW = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_BLOCK_BYTES = 256 << 10


class FileUpload:
    """One body on its way into a folder: a file that its process holds a lock on."""

    def __init__(self, place: Place, upload_id: str) -> None:
        self._place, self._name, self._offset = place, f"{upload_id}.part", 0
        self._lock, self._is_over, self._is_published = threading.Lock(), False, False
        with _told(), contextlib.ExitStack() as stack:
            self._folder = _opened_folder(place.location.prefix, [INCOMING], make=True)
            stack.callback(os.close, self._folder)
            self._fd = os.open(self._name, _NEW, 0o664, dir_fd=self._folder)
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            stack.pop_all()  # they stay open

    def write(self, data: bytes) -> None:
        """Adds bytes."""
        with self._open():
            write_at(self._fd, data, self._offset)
        self._offset += len(data)

    def finish(self) -> None:
        """All bytes have come; they are on the disk."""
        with self._open():
            os.fsync(self._fd)

    @contextlib.contextmanager
    def _open(self) -> Iterator[None]:
        """Keeps the descriptors open, and tells what goes wrong with them.

        A server that ends discards uploads that a thread of it may still be at: that one must not
        write to a descriptor that was closed, and is another file's by now.
        """
        with self._lock, _told():
            if self._is_over:
                raise OSError(errno.EBADF, "the upload was ended")
            yield

    def publish(self, *, over: ObjectInfo | None) -> ObjectInfo:
        """Makes the bytes the object's, if what is there is still `over`; what it is now.

        The caller sees to it that no other upload of a registry does so at the same time.
        """
        folders, name = self._place.key.split("/")[:-1], self._place.key.rpartition("/")[2]
        with self._open(), contextlib.ExitStack() as stack:
            folder = _opened_folder(self._place.location.prefix, folders, make=True)
            stack.callback(os.close, folder)
            fcntl.flock(folder, fcntl.LOCK_EX)  # as pushes do, which know of no registry
            if _status(self._place, folder, name) != over:
                raise ConflictProblem("another program wrote to it at the same time; try again")
            os.replace(self._name, name, src_dir_fd=self._folder, dst_dir_fd=folder)
            self._is_published = True
            made = os.fstat(self._fd)
            os.fsync(folder)
        return info_of(self._place.uri, made)

    def discard(self) -> bool:
        """Ends the upload; what was not published is gone. Whether nothing of it is left."""
        with self._lock:
            self._is_over = True
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._name, dir_fd=self._folder)
            os.close(self._fd)
            os.close(self._folder)
        return not self._is_published


def file_info(place: Place) -> ObjectInfo | None:
    """What is there now; None where nothing is."""
    with _told(), contextlib.ExitStack() as stack:
        *folders, name = place.key.split("/")
        try:
            folder = _opened_folder(place.location.prefix, folders)
        except FileNotFoundError:
            return None
        stack.callback(os.close, folder)
        return _status(place, folder, name)


def _status(place: Place, folder: int, name: str) -> ObjectInfo | None:
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(found.st_mode):
        raise ForbiddenProblem("the path leads through a link, which is never followed")
    try:
        return info_of(place.uri, found)
    except NotAnObjectError:
        raise ConflictProblem("there is a folder, and no object, of that name") from None


def file_bytes(place: Place, start: int, end: int, of: ObjectInfo) -> Iterator[bytes]:
    """The bytes `start` up to `end` of an object that is still `of`, in blocks.

    The file is open when this returns: later writers replace it, and do not change it.

    Raises:
        ConflictProblem: it is another one by now.
    """
    with _told(), contextlib.ExitStack() as stack:
        *folders, name = place.key.split("/")
        folder = _opened_folder(place.location.prefix, folders)
        stack.callback(os.close, folder)
        fd = os.open(name, _FILE, dir_fd=folder)
        if info_of(place.uri, os.fstat(fd)) != of:
            os.close(fd)
            raise ConflictProblem("it was replaced meanwhile; ask again")
    return _blocks(fd, start, end)


def _blocks(fd: int, start: int, end: int) -> Iterator[bytes]:
    try:
        while start < end and (data := os.pread(fd, min(_BLOCK_BYTES, end - start), start)):
            start += len(data)
            yield data
    finally:
        os.close(fd)


def sweep_folder(root: str) -> int:
    """Removes what dead processes have left of their uploads to a folder; how many."""
    removed = 0
    with contextlib.ExitStack() as stack:
        try:
            folder = _opened_folder(root, [INCOMING])
        except FileNotFoundError:
            return 0
        stack.callback(os.close, folder)
        for name in os.listdir(folder):  # noqa: PTH208 - a descriptor, which no Path is
            with contextlib.suppress(FileNotFoundError, BlockingIOError):
                _remove_unless_locked(folder, name)
                removed += 1
    return removed


def _remove_unless_locked(folder: int, name: str) -> None:
    fd = os.open(name, _FILE, dir_fd=folder)
    try:
        # Who made it has locked it. Who died has not; nor who has not come so far yet: that one
        # finds its file gone when it publishes, and its caller is told to try again.
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(name, dir_fd=folder)
    finally:
        os.close(fd)


def _opened_folder(root: str, folders: list[str], *, make: bool = False) -> int:
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for name in folders:
        try:
            if make:
                _make_folder(fd, name)
            following = os.open(name, _FOLDER, dir_fd=fd)
        finally:
            os.close(fd)
        fd = following
    return fd


def _make_folder(above: int, name: str) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o775, dir_fd=above)
        os.fsync(above)  # or a power cut could take it, with what was said to be in it


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turns what the operating system says into the answer to a request."""
    try:
        yield
    except OSError as error:
        raise _problem(error) from error


def _problem(error: OSError) -> Problem:
    detail = error.strerror or str(error)
    if error.errno in _FULL:
        return FullProblem(f"the disk has no room for it: {detail}")
    if error.errno == errno.ELOOP:
        return ForbiddenProblem("the path leads through a link, which is never followed")
    if error.errno == errno.ENOTDIR:
        return ConflictProblem("a part of the path is no folder")
    if error.errno in {errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ}:
        return InvalidProblem(f"no file can have that name: {detail}")
    if error.errno in _FORBIDDEN:
        return StoreRefusesProblem(f"the registry may not do that in its folder: {detail}")
    return UnavailableProblem(f"the folder cannot be used: {detail}")

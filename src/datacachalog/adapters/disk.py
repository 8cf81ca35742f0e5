"""Files on their way into the cache: made safely, written whole, copied with their digest.

The operating system's errors become ours here, for every adapter that writes to the cache.
"""

from __future__ import annotations

import errno
import fcntl
import importlib
import os
import stat
import threading
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import blake3

from datacachalog.domain.errors import CacheError, CacheFullError, CachePermissionError
from datacachalog.domain.housekeeping import Space

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from typing_extensions import Buffer

    from datacachalog.ports import TransferProgress

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
"""Of what is not ours to write."""
_OPEN_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
# Whatever the umask, nothing that is made here may be written by everybody.
_FILE, _FOLDER = 0o664, 0o775
_GROUP_FILE, _GROUP_FOLDER = 0o060, 0o2070

# Both hashing and writing find the block in the processor's cache: on 2 cores of an EPYC, copying
# 512 MiB with its digest took 0.20 s, `cp` 0.21 s, and two threads with 4 MiB blocks no less
# (2026-11-21).
_BLOCK_BYTES = 1 << 20

_FICLONE = 0x40049409  # ioctl_ficlone(2): share the blocks of another file


# Threads that make many small system calls at once fight over the interpreter lock, which each call
# gives up: 1,000 objects of 16 KiB, fetched by 16 threads, took 1.3 s, and 0.8 s where one thread
# at a time was at the disk (2 cores, 2026-11-21). On a disk that takes its time, a network one say,
# threads go ahead together after all.
_PATIENCE_S = 0.02
_turns: dict[int, threading.Lock] = {}  # by process: a fork must not inherit a lock that is held


class turn_at_the_disk:  # noqa: N801 - it is called as a function, and a generator takes thrice as long
    """Lets one thread of a process at a time do something short at the disk, where that is fast."""

    __slots__ = ("_is_ours", "_lock")

    def __enter__(self) -> None:
        lock = _turns.get(os.getpid()) or _turns.setdefault(os.getpid(), threading.Lock())
        self._lock, self._is_ours = lock, lock.acquire(timeout=_PATIENCE_S)

    def __exit__(self, *_: object) -> None:
        if self._is_ours:
            self._lock.release()


def cache_error(error: OSError, path: Path) -> CacheError:
    """The error to raise where `path`, in the cache, could not be written or read.

    >>> from pathlib import Path
    >>> cache_error(OSError(errno.ENOSPC, "No space left on device"), Path("/cache")).code
    'cache-full'
    """
    detail = error.strerror or str(error)
    if error.errno in _FULL:
        return CacheFullError(str(path), detail)
    if error.errno in FORBIDDEN:
        return CachePermissionError(str(path), detail)
    return CacheError(str(path), detail)


class cache_errors:  # noqa: N801 - as above
    """Turns what the operating system says of `path` into the cache's errors."""

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, OSError):
            raise cache_error(error, self._path) from error


def create_new(path: str | os.PathLike[str]) -> int:
    """A descriptor to write a file that does not exist yet; its folder is made if need be.

    Raises:
        OSError: it exists, or cannot be made.
    """
    # First, and cheaply: nearly every file here is the only one in a folder of its own.
    make_folder(os.path.dirname(path))  # noqa: PTH120 - as said
    return os.open(path, _OPEN_NEW, _FILE)


def make_folder(path: str, *, shared: bool = False) -> bool:
    """Makes a folder, and those above it, unless they are there; whether it was not there.

    The new ones are `shared` by a group, if that is asked for, whatever the umask.

    Raises:
        OSError: they cannot be made.
    """
    try:
        os.mkdir(path, _FOLDER)  # noqa: PTH102 - as above
    except FileNotFoundError:
        above = os.path.dirname(path)  # noqa: PTH120 - as above
        if above == path:  # the current folder was removed
            raise
        make_folder(above, shared=shared)
        with suppress(FileExistsError):  # another process was quicker
            os.mkdir(path, _FOLDER)  # noqa: PTH102 - as above
    except OSError:
        if not os.path.isdir(path):  # noqa: PTH112 - as above
            raise
        return False
    if shared:
        share_folder(path)
    return True


def share_folder(path: str) -> None:
    """Lets the group write to a folder of ours, which gives it to what is made there."""
    mode = stat.S_IMODE(os.stat(path).st_mode)  # noqa: PTH116 - as above
    if mode | _GROUP_FOLDER != mode:
        with suppress(PermissionError):  # a file system that has no modes
            os.chmod(path, mode | _GROUP_FOLDER)  # noqa: PTH101 - as above


def share_file(fd: int) -> None:
    """Lets the group read an open file, and write to it, if it is ours."""
    status = os.fstat(fd)
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid == os.geteuid() and mode | _GROUP_FILE != mode:
        with suppress(PermissionError):  # as above
            os.fchmod(fd, mode | _GROUP_FILE)


def write_new(path: str, text: str, *, shared: bool = False) -> None:
    """Writes a small text file that does not exist yet; its folder is there."""
    fd = os.open(path, _OPEN_NEW, _FILE)
    try:
        if shared:
            share_file(fd)
        write_at(fd, text.encode(), 0)
    finally:
        os.close(fd)


def write_at(fd: int, data: Buffer, offset: int) -> None:
    """Writes all of `data` at `offset`, however little the system takes at a time."""
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def space_at(folder: Path) -> Space:
    """What the disk has left that a folder is on, or will be."""
    while not folder.exists():
        folder = folder.parent
    found = os.statvfs(folder)
    return Space(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


@contextmanager
def closing(fd: int, writing: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Closes a descriptor; that it fails is said in the words of `writing`, if all went well.

    A network file system may tell only then that it had no room for what was written.
    """
    try:
        yield
    except BaseException:
        with suppress(OSError):
            os.close(fd)
        raise
    with writing():
        os.close(fd)


class SourceChangedError(OSError):
    """A file was written to while it was copied."""


def copy_whole(
    source: Path,
    dest: Path,
    progress: TransferProgress,
    *,
    writing: Callable[[Path], AbstractContextManager[None]] = cache_errors,
) -> tuple[os.stat_result, str]:
    """Copies a regular file to a new one; the source's status and BLAKE3, as they were copied.

    Blocks are shared where the file system can (btrfs, XFS).

    Raises:
        OSError: `source` cannot be read; `SourceChangedError` if it was written to meanwhile.
        DatacachalogError: `dest` cannot be written, in the words of `writing`.
    """
    # O_NONBLOCK: opening a pipe must not wait for its writer; regular files do not heed it.
    read_fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        before = os.fstat(read_fd)
        if stat.S_ISDIR(before.st_mode):
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        if not stat.S_ISREG(before.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        progress.total(before.st_size)
        with writing(dest):
            write_fd = create_new(dest)
        with closing(write_fd, partial(writing, dest)):
            digest = _copy_blocks(read_fd, write_fd, partial(writing, dest), progress)
        after = os.fstat(read_fd)
    finally:
        os.close(read_fd)
    if _was_written_to(before, after):
        raise SourceChangedError(errno.EBUSY, "it was written to while it was copied")
    return before, digest  # its change time is that of these bytes, also if it was replaced since


def _copy_blocks(
    read_fd: int,
    write_fd: int,
    writing: Callable[[], AbstractContextManager[None]],
    progress: TransferProgress,
) -> str:
    shared = _share_blocks(read_fd, write_fd)
    hasher, block = blake3.blake3(), bytearray(_BLOCK_BYTES)
    view, offset = memoryview(block), 0
    while size := os.preadv(read_fd, [block], offset):
        hasher.update(view[:size])
        if not shared:
            with writing():
                write_at(write_fd, view[:size], offset)
        offset += size
        progress.advance(size)
    return hasher.hexdigest()


def _share_blocks(read_fd: int, write_fd: int) -> bool:
    try:
        fcntl.ioctl(write_fd, _FICLONE, read_fd)
    except OSError:
        return False  # another file system, or one that cannot
    return True


def _was_written_to(before: os.stat_result, after: os.stat_result) -> bool:
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        return True
    # Who sets the one time back cannot set back the other; but replacing a file, which leaves the
    # bytes that are being copied as they are, moves it too.
    is_touched = before.st_ctime_ns != after.st_ctime_ns
    return is_touched and before.st_nlink == after.st_nlink


def remove_tree(path: str | os.PathLike[str]) -> None:
    """Removes a folder and all in it, or a file; what another process removes meanwhile is fine."""
    # By name: importing it takes 6 ms, and a fetch that goes well removes nothing.
    importlib.import_module("shutil").rmtree(path, ignore_errors=True)
    with suppress(OSError):
        os.unlink(path)  # noqa: PTH108 - a string will do

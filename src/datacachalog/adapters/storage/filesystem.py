"""Objects in files: plain paths and `file://`.

A file's revision is its inode, its size and its two times in nanoseconds: that of the last change
to its bytes, which programs can set back, and that of any change, which they cannot. A file has
one version, the present one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from datacachalog.adapters.disk import SourceChangedError, cache_errors, copy_whole
from datacachalog.adapters.journal import discard
from datacachalog.domain.errors import (
    ConflictError,
    InvalidUriError,
    NotAnObjectError,
    ObjectNotFoundError,
    RemoteChangedError,
    StorageAccessError,
    StorageUnavailableError,
    VersionNotFoundError,
)
from datacachalog.domain.objects import (
    ABSENT,
    ANY,
    NOT_MODIFIED,
    ObjectInfo,
    Revision,
)
from datacachalog.domain.uri import Uri
from datacachalog.ports import SILENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datacachalog.adapters.storage.registry import StorageSettings
    from datacachalog.domain.objects import (
        Expected,
        NotModified,
    )
    from datacachalog.ports import TransferProgress

_ABSENT = {errno.ENOENT, errno.ENOTDIR}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_UNNAMEABLE = {errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}

# A file that is written twice within one tick of its file system's clock, to the same size, has
# one status for two contents (git calls it "racily clean"). Ticks are 10 ms at most on Linux, and
# 2 s where times are whole seconds (FAT).
_TICK_S, _COARSE_TICK_S = 0.02, 2.0

# What an upload is written to before it is there; never an object.
_PART_PREFIX, _PART_SUFFIX = ".datacachalog-", ".part"


class FilesystemStorage:
    """Files of this machine and of what is mounted on it."""

    def identity(self, uri: Uri) -> str:
        return uri.as_uri()

    def stat(self, uri: Uri, *, version: str | None = None) -> ObjectInfo:
        _no_versions(uri, version)
        with reading(uri):
            return info_of(uri, os.stat(uri.path))  # noqa: PTH116 - as elsewhere: half the cost

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
        if unless is not None and self.stat(uri, version=version).revision == unless:
            return NOT_MODIFIED
        if resume:
            discard(dest)
        try:
            return self._copy(uri, dest, version, progress)
        except SourceChangedError:
            with cache_errors(dest):
                dest.unlink()
        try:
            return self._copy(uri, dest, version, progress)
        except SourceChangedError as error:
            raise RemoteChangedError(str(uri), "twice") from error

    def _copy(
        self, uri: Uri, dest: Path, version: str | None, progress: TransferProgress
    ) -> ObjectInfo:
        _no_versions(uri, version)
        with reading(uri):
            found = os.stat(uri.path)  # noqa: PTH116 - as above
            info_of(uri, found)  # or it is no file
            _let_the_tick_pass(found)
            status, digest = copy_whole(Path(uri.path), dest, progress)
            if status.st_nlink == 0:  # replaced as it was opened: it has another ctime by that
                raise SourceChangedError(errno.EBUSY, "it was replaced")
        return info_of(uri, status, digest)

    def upload(
        self,
        path: Path,
        uri: Uri,
        *,
        expect: Expected = ANY,
        progress: TransferProgress = SILENT,
    ) -> ObjectInfo:
        target = Path(os.path.realpath(uri.path))  # a link stays one; what it leads to is replaced
        with _writing(uri):
            if target.is_dir():
                raise NotAnObjectError(str(uri))
            target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.parent / f"{_PART_PREFIX}{os.urandom(8).hex()}{_PART_SUFFIX}"
        try:
            with cache_errors(path):
                _, digest = copy_whole(path, fresh, progress, writing=lambda _: _writing(uri))
            with _writing(uri):
                return info_of(uri, _replace(fresh, uri, expect), digest)
        finally:
            with contextlib.suppress(OSError):  # whether it was pushed is what matters
                fresh.unlink()

    def walk(self, prefix: Uri) -> Iterator[ObjectInfo]:
        folder, _, start = prefix.path.rpartition("/")
        with reading(prefix):
            yield from _walk(folder or "/", start)

    def versions(self, uri: Uri) -> Iterator[ObjectInfo]:
        yield self.stat(uri)

    def read(self, uri: Uri, start: int, end: int, *, version: str | None = None) -> bytes:
        _no_versions(uri, version)
        with reading(uri):
            info_of(uri, os.stat(uri.path))  # noqa: PTH116 - as above; a pipe would have us wait
            with Path(uri.path).open("rb") as file:
                file.seek(start)
                return file.read(max(0, end - start))


def info_of(uri: Uri, status: os.stat_result, digest: str | None = None) -> ObjectInfo:
    """What a file's status says of an object.

    Raises:
        NotAnObjectError: it is no regular file.
    """
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a device or pipe"
        raise NotAnObjectError(str(uri), what)
    size, mtime_ns = status.st_size, status.st_mtime_ns
    return ObjectInfo(
        uri,
        size,
        etag=f'"{status.st_ino:x}-{mtime_ns:x}-{status.st_ctime_ns:x}-{size:x}"',
        last_modified=datetime.fromtimestamp(mtime_ns // 1000 / 1e6, UTC),
        digest=digest,
    )


def _no_versions(uri: Uri, version: str | None) -> None:
    if version is not None:
        raise VersionNotFoundError(str(uri), repr(version))


def _let_the_tick_pass(status: os.stat_result) -> None:
    """Waits until a later write must give the file another modification time."""
    tick = _TICK_S if status.st_mtime_ns % 1_000_000_000 else _COARSE_TICK_S
    age = time.time() - status.st_mtime_ns / 1e9
    if 0 <= age < tick:
        time.sleep(tick - age)


def _replace(fresh: Path, uri: Uri, expect: Expected) -> os.stat_result:
    """Puts `fresh` in the place of the target, if that is what was expected; its status.

    The folder is locked meanwhile, so that of several pushers one wins. A program that does not
    lock can still write between the check and the rename; a file system offers nothing better.
    """
    target = Path(os.path.realpath(uri.path))
    folder_fd = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder_fd, fcntl.LOCK_EX)
        found = info_of(uri, target.stat()) if target.exists() else None
        _check(uri, expect, found)
        if found is not None:
            fresh.chmod(stat.S_IMODE(target.stat().st_mode))
        status = _renamed(fresh, target)
        with contextlib.suppress(OSError):  # not everywhere can a folder be; and it is done
            os.fsync(folder_fd)
        return status
    finally:
        os.close(folder_fd)


def _check(uri: Uri, expect: Expected, found: ObjectInfo | None) -> None:
    if expect is ABSENT and found is not None:
        raise ConflictError(str(uri), "absent", found.etag or "there")
    if isinstance(expect, Revision) and (found is None or not found.revision.same_bytes(expect)):
        raise ConflictError(str(uri), expect.etag or "?", (found and found.etag) or "absent")


def _renamed(fresh: Path, target: Path) -> os.stat_result:
    """Renames a file whose bytes are on the disk; its own status afterwards."""
    fd = os.open(fresh, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
        fresh.rename(target)
        return os.fstat(fd)
    finally:
        os.close(fd)


def _walk(folder: str, start: str) -> Iterator[ObjectInfo]:
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        if error.errno in _ABSENT:
            return
        raise
    named = [(e.name + "/" if e.is_dir(follow_symlinks=False) else e.name, e) for e in entries]
    for name, entry in sorted(named, key=lambda pair: pair[0]):
        if not name.startswith(start[: len(name)]):
            continue
        if name.endswith("/"):
            yield from _walk(entry.path, "")
        elif name.startswith(start) and not _is_part(name) and entry.is_file():
            with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
                yield info_of(Uri.of_path(entry.path), entry.stat())


def _is_part(name: str) -> bool:
    return name.startswith(_PART_PREFIX) and name.endswith(_PART_SUFFIX)


@contextmanager
def reading(uri: Uri) -> Iterator[None]:
    """Turns the operating system's errors into the storage port's."""
    try:
        yield
    except SourceChangedError:
        raise
    except OSError as error:
        where, detail = str(uri), error.strerror or str(error)
        if error.errno in _ABSENT:
            raise ObjectNotFoundError(where) from error
        if error.errno in _FORBIDDEN:
            raise StorageAccessError(where, detail) from error
        if error.errno in _UNNAMEABLE:
            raise InvalidUriError(where, f"cannot be a file: {detail}") from error
        raise StorageUnavailableError(where, detail) from error


_writing = reading


def build(_: StorageSettings) -> FilesystemStorage:
    """The adapter as the registry makes it: files need no settings."""
    return FilesystemStorage()

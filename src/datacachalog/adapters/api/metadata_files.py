"""Small JSON files in a folder that is ours alone: written whole, and read with suspicion.

Processes that use the folder need no locks: a file is written aside and renamed, so that a reader
sees the old one, the new one or none, also where its writer was killed. What cannot be read as
JSON is as if it were not there. Folders are for us alone (0700), and so are files (0600).
"""

from __future__ import annotations

import errno
import json
import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_IMODE, S_ISDIR, S_ISREG, S_IWGRP, S_IWOTH
from typing import TYPE_CHECKING, Any, Final

from datacachalog.adapters.disk import cache_error, remove_tree, write_at
from datacachalog.domain.errors import CachePermissionError, UnsafeCacheError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_BYTES: Final = 8 << 20
"""Of a file: a snapshot of 10,000 columns takes about 1 MiB. What is larger is not read."""

_ASIDE = "aside"
_ABANDONED_S = 3600
_ATTEMPTS = 9
_FOLDER, _FILE, _OTHERS = 0o700, 0o600, 0o077
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class JsonFolder:
    """The files below `root/v1`, by paths relative to it. Making one touches no disk.

    Every method raises `CacheError`: `CachePermissionError` where a link is in the folder's place,
    `UnsafeCacheError` where it belongs to somebody else, or others may write to it. As with the
    cache of objects, `root` itself may be a link.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.home = root, root / "v1"
        self._aside = self.home / _ASIDE
        self._is_swept = False

    def read(self, path: str) -> dict[str, Any] | None:
        """The JSON object in a file; None where there is none that makes sense."""
        if not self._is_safe():
            return None
        try:
            found = json.loads(_read(f"{self.home}/{path}"))
        except (OSError, ValueError, RecursionError):  # nested too deeply, and not by us
            return None
        return found if isinstance(found, dict) else None

    def write(self, path: str, value: Mapping[str, Any], most_bytes: int = MAX_BYTES) -> bool:
        """Makes a file hold a JSON object, whatever it held; whether its folder was not there.

        Raises:
            ValueError: it cannot be JSON, or takes more than `most_bytes`.
        """
        # `indent` would leave json's fast encoder.
        text = json.dumps(value, separators=(",\n ", ": "), allow_nan=False)
        if len(text) > most_bytes:  # it is ASCII
            raise ValueError(f"it takes {len(text)} bytes")
        with self._errors():
            self._make_home()
            aside = self._name_aside()
            try:
                _write_new(aside, text.encode())
                return _publish(aside, self.home / path)
            except BaseException:
                with suppress(OSError):
                    aside.unlink()
                raise

    def remove(self, path: str) -> None:
        """Removes a file, or a folder and all in it, at once; it need not be there."""
        if not self._is_safe():
            return
        with self._errors():
            _make_private(self._aside)
            aside = self._name_aside()
            try:
                (self.home / path).rename(aside)
            except (FileNotFoundError, NotADirectoryError):
                return
        remove_tree(aside)

    def names(self, path: str = "") -> list[str]:
        """What is in a folder, the one that was written to last at the end."""
        found: list[tuple[int, str]] = []
        if self._is_safe():
            with suppress(OSError), os.scandir(self.home / path) as entries:
                for one in entries:
                    with suppress(OSError):
                        found.append((one.stat(follow_symlinks=False).st_mtime_ns, one.name))
        return [name for _, name in sorted(found) if name != _ASIDE]

    def files(self, path: str) -> Iterator[tuple[str, int]]:
        """The name and the size of every file in a folder, and in those below it."""
        for folder, _, names in os.walk(self.home / path):
            for name in names:
                with suppress(OSError):
                    yield name, Path(folder, name).lstat().st_size

    def _is_safe(self) -> bool:
        """Whether there is a folder that may be used; False where there is none yet."""
        try:
            above, status = self.root.stat(), self.home.lstat()
        except OSError:  # what is done next will tell, if it matters
            return False
        if not S_ISDIR(status.st_mode):
            problem = "'v1' in it is no folder but a link or a file; remove it"
            raise CachePermissionError(str(self.root), problem)
        self._refuse("it", above, S_IWOTH)
        self._refuse("'v1' in it", status, S_IWOTH | S_IWGRP)
        return True

    def _refuse(self, named: str, status: os.stat_result, forbidden: int) -> None:
        us = os.geteuid()
        if status.st_uid not in {us, 0}:
            problem = f"{named} belongs to user {status.st_uid}, and we are user {us}"
        elif status.st_mode & forbidden:
            problem = f"others may write to {named} (mode {S_IMODE(status.st_mode):04o})"
        else:
            return
        raise UnsafeCacheError(str(self.root), problem)

    def _make_home(self) -> None:
        if not self._is_safe():
            _make_private(self.home)
            self._is_safe()
        mode = self.home.lstat().st_mode
        if S_IMODE(mode) & _OTHERS:
            self.home.chmod(_FOLDER)
        _make_private(self._aside)
        if not self._is_swept:
            self._is_swept = True
            self._sweep()

    def _sweep(self) -> None:
        """Removes what others left aside that were killed."""
        for one in self._aside.iterdir():
            with suppress(OSError):
                if time.time() - one.lstat().st_mtime > _ABANDONED_S:
                    remove_tree(one)

    def _name_aside(self) -> Path:
        """A path that nothing is at, and nobody else thinks of."""
        return self._aside / f"{os.getpid()}-{os.urandom(12).hex()}"

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # Of the folder: the path of what is aside tells nobody anything.
            raise cache_error(error, self.root) from error


def _read(path: str) -> bytes:
    fd = os.open(path, _READ)
    try:
        status = os.fstat(fd)
        if not S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            raise ValueError("it is no file of ours")
        return os.read(fd, MAX_BYTES)
    finally:
        os.close(fd)


def _write_new(path: Path, data: bytes) -> None:
    fd = os.open(path, _NEW, _FILE)
    try:
        write_at(fd, data, 0)
    finally:
        os.close(fd)


def _publish(aside: Path, target: Path) -> bool:
    """Renames a file, into a folder that is made if need be; whether it was made."""
    for attempt in range(_ATTEMPTS):
        try:
            aside.replace(target)
        except FileNotFoundError:  # there was none yet, or somebody cleared it a moment ago
            with suppress(FileNotFoundError):
                _make_private(target.parent)
        else:
            return attempt > 0
    raise FileNotFoundError(errno.ENOENT, "somebody keeps removing its folders")


def _make_private(path: Path) -> None:
    """Makes a folder that only we may look into, and those above it, unless they are there.

    Not to be looked at afterwards: somebody who clears may have removed it again.
    """
    with suppress(FileExistsError):
        try:
            path.mkdir(_FOLDER)
        except FileNotFoundError:
            _make_private(path.parent)
            path.mkdir(_FOLDER)

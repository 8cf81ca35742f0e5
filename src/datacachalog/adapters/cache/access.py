"""Whose a cache is: looked at before anything in it is believed, or written to it.

Who may write to the folder of a cache may choose the bytes of its copies, and links in it could
have us read or write elsewhere. So the folder belongs to us or to root, and not everybody may write
to it, unless somebody has said that the cache is shared. The folder itself may be a link; what is
in it never is.
"""

from __future__ import annotations

import os
import pwd
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_IMODE, S_ISDIR, S_ISGID, S_ISLNK, S_IWGRP, S_IWOTH
from typing import TYPE_CHECKING

from datacachalog.adapters.cache.records import NOTHING_THERE
from datacachalog.adapters.disk import make_folder, share_folder
from datacachalog.domain.errors import CachePermissionError, UnsafeCacheError

if TYPE_CHECKING:
    from collections.abc import Iterable

FOLDERS = ("objects", "refs", "partial", "locks", "pins", "servers", "trash")
"""Those below `v1`."""

_PRIVATE = 0o700


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use the cache at `root`: its owner, or all that may write there where it is `shared`.

    The owner of a `layer` is trusted, whoever it is: somebody has named it.
    """

    root: Path
    shared: bool = False
    layer: bool = False

    def is_safe(self) -> bool:
        """Whether there is a cache that may be used; False where there is none yet.

        Raises:
            UnsafeCacheError: it belongs to somebody else, or everybody may write to it.
            CachePermissionError: one of its folders is a link.
        """
        home = self.root / "v1"
        try:
            status = self.root.stat()
        except OSError:  # what is done next will tell, if it matters
            return False
        self._refuse(self.root, status)
        self._refuse_inside([home])
        self._refuse_inside(home / name for name in FOLDERS)
        return True

    def is_still_safe(self) -> bool:
        """`is_safe` of a cache that was safe: somebody may have put another one in its place.

        Nobody else can have put anything in it.
        """
        if self.shared:
            return True
        try:
            status = os.stat(self.root)  # noqa: PTH116 - half the cost of Path.stat
        except OSError:
            return False
        self._refuse(self.root, status)
        return True

    def _refuse_inside(self, paths: Iterable[Path]) -> None:
        for path in paths:
            try:
                status = path.lstat()
            except OSError as error:
                if error.errno in NOTHING_THERE:
                    continue
                raise
            if S_ISLNK(status.st_mode):
                problem = f"{self._named(path)} is a link, and links are not followed; remove it"
                raise CachePermissionError(str(self.root), problem)
            self._refuse(path, status)

    def _refuse(self, path: Path, status: os.stat_result) -> None:
        us, mode = os.geteuid(), status.st_mode
        if self.shared or not S_ISDIR(mode):
            return
        if not self.layer and status.st_uid not in {us, 0}:
            problem = f"{self._named(path)} belongs to {_user(status.st_uid)}, and we are user {us}"
        elif mode & S_IWOTH:
            problem = f"everybody may write to {self._named(path)} (mode {S_IMODE(mode):04o})"
        else:
            return
        raise UnsafeCacheError(str(self.root), problem)

    def _named(self, path: Path) -> str:
        return "it" if path == self.root else f"{str(path.relative_to(self.root))!r} in it"

    def make_folders(self) -> None:
        """Makes the folders of the cache, for whom they are; raises what `is_safe` does.

        Raises:
            OSError: they cannot be made.
        """
        make_folder(os.path.dirname(self.root))  # noqa: PTH120 - a string is wanted
        make_folder(str(self.root), shared=self.shared)
        self.is_safe()
        home = f"{self.root}/v1"
        make_folder(home, shared=self.shared)
        if not self.shared:
            # Before anybody can look into it, and whatever a folder above hands on.
            with suppress(FileExistsError):
                os.mkdir(f"{home}/partial", _PRIVATE)  # noqa: PTH102 - as above
        for name in FOLDERS:
            make_folder(f"{home}/{name}", shared=self.shared)
        self.is_safe()
        self._set_modes(home)

    def _set_modes(self, home: str) -> None:
        """Of folders that are ours, also where they were made before; what was shared stays so."""
        us, partial = os.geteuid(), f"{home}/partial"
        if self.shared:
            for folder in (home, *(f"{home}/{name}" for name in FOLDERS)):
                if Path(folder).stat().st_uid == us:
                    share_folder(folder)
            return
        status = os.lstat(partial)
        is_shared = status.st_mode & S_ISGID and status.st_mode & S_IWGRP
        if status.st_uid == us and not is_shared and S_IMODE(status.st_mode) & ~S_ISGID != _PRIVATE:
            # What comes has the modes that it will have, and nobody else gets to it.
            os.chmod(partial, _PRIVATE)  # noqa: PTH101 - as above


def _user(number: int) -> str:
    try:
        return f"{pwd.getpwuid(number).pw_name} (user {number})"
    except KeyError:  # one that this machine has no name for
        return f"user {number}"

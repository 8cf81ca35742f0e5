"""What servers were seen to honour, remembered for a day, so that not every process tries it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from typing import TYPE_CHECKING

from datacachalog.adapters.disk import make_folder, write_new

if TYPE_CHECKING:
    from pathlib import Path

_VALID_S = 24 * 3600
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Verdicts:
    """Things that were found to be so, one small file each; none are kept without a folder."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def has(self, subject: str) -> bool:
        """Whether `subject` was found to be so within the last day, by this machine's clock."""
        if self._folder is None:
            return False
        try:
            fd = os.open(self._file(self._folder, subject), _FLAGS)
            with os.fdopen(fd, "rb") as file:
                age_s = time.time() - os.fstat(fd).st_mtime
                return 0 <= age_s < _VALID_S and file.read(4096) == subject.encode()
        except OSError:
            return False

    def keep(self, subject: str) -> None:
        """Remembers that `subject` is so; not in a folder that may not be written."""
        if self._folder is None:
            return
        fresh = self._folder / f".{os.urandom(6).hex()}"
        with contextlib.suppress(OSError):
            make_folder(str(self._folder))
            try:
                write_new(str(fresh), subject)
                fresh.replace(self._file(self._folder, subject))
            except OSError:
                fresh.unlink(missing_ok=True)

    @staticmethod
    def _file(folder: Path, subject: str) -> Path:
        return folder / hashlib.sha256(subject.encode()).hexdigest()[:16]

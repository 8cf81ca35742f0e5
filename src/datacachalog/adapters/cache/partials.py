"""What is on its way into the directory cache, and what interrupted downloads left of it.

Each is a folder `<source key>@<owner>`, which one process writes to. Who goes on with what another
one left renames it to a name of its own first: of several who try, exactly one can.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from datacachalog.adapters.cache.entries import bytes_below, is_folder, names_in
from datacachalog.adapters.cache.owners import (
    disowned_name,
    is_left_behind,
    journal_to_resume,
    owned_name,
)
from datacachalog.adapters.disk import remove_tree

if TYPE_CHECKING:
    from pathlib import Path

# A fetch must not look through the folder each time. Who waited for another process, and finds
# that it was killed, has waited longer than this.
_LOOK_EVERY_S = 1.0


class Partials:
    """The folder `partial` of a cache. Threads may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._text = folder, str(folder)
        self._next_look = 0.0
        self._left: dict[str, list[tuple[int, str]]] = {}

    def new(self, key: str = "") -> str:
        """A path for something of one source, or of none, that nobody else writes to."""
        return f"{self._text}/{key}@{owned_name()}" if key else f"{self._text}/{owned_name()}"

    def look(self) -> None:
        """Notes what can be gone on with, and removes what else nobody is at."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_EVERY_S
        left: dict[str, list[tuple[int, str]]] = {}
        with suppress(OSError):  # another user's
            for path in self._all():
                if (journal := journal_to_resume(path)) is not None:
                    if path.lstat().st_uid != os.geteuid():
                        continue  # its bytes are for the user whose it is
                    key = path.name.partition("@")[0]
                    left.setdefault(key, []).append((journal.st_size, str(path)))
                elif is_left_behind(path):
                    self.remove(path)
        self._left = left

    def of_no_use(self) -> list[Path]:
        """What nobody is at, and nobody can go on with."""
        return [path for path in self.left_behind() if journal_to_resume(path) is None]

    def remove(self, path: Path) -> None:
        """Removes something that nobody is at."""
        # First out of the way: nobody must take up what is half gone.
        gone = self.new()
        with suppress(OSError):  # another process was quicker
            os.rename(path, gone)  # noqa: PTH104 - strings will do
        remove_tree(gone)

    def claim(self, key: str, into: str) -> bool:
        """Whether there was something of a source to go on with, which is `into` now."""
        if not self._left:
            return False
        for _, path in sorted(self._left.pop(key, ()), reverse=True):
            with suppress(OSError):  # another one has it
                os.rename(path, into)  # noqa: PTH104 - strings will do
                return True
        return False

    def disown(self, folder: str) -> None:
        """Leaves a folder to whoever goes on with it."""
        home, _, name = folder.rpartition("/")
        key = name.partition("@")[0]
        os.rename(folder, f"{home}/{key}@{disowned_name()}")  # noqa: PTH104 - strings will do
        self._next_look = 0.0

    def unfinished(self) -> tuple[int, int]:
        """How many downloads are under way or were interrupted, and the bytes that they take.

        Those of a cache that belongs to somebody else are not told.
        """
        try:
            folders = [path for path in self._all() if is_folder(path)]
        except PermissionError:
            return 0, 0
        return len(folders), sum(map(bytes_below, folders))

    def left_behind(self) -> list[Path]:
        """All that nobody is at any more."""
        return [path for path in self._all() if is_left_behind(path)]

    def _all(self) -> list[Path]:
        return [self._folder / name for name in names_in(self._folder)]

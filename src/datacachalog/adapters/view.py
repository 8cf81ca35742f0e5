"""A folder of links to current copies, for people.

A link is replaced by renaming another one over it. What is no link into a cache is never touched,
whoever put it there.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from datacachalog.adapters.cache.owners import is_left_behind, owned_name, owner_is_gone
from datacachalog.domain.errors import ViewError
from datacachalog.domain.view import leads_to_a_copy

if TYPE_CHECKING:
    from collections.abc import Iterator

# A dataset's name begins with a letter or a digit: none of these is a link's.
_FRESH = ".datacachalog-"


class DirectoryView:
    """Links in a folder, which several processes may share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._text = str(folder)
        self._is_swept = False

    def show(self, name: str, path: Path) -> bool:
        link, target = f"{self._text}/{name}", str(path)
        with contextlib.suppress(OSError):  # told below
            if os.readlink(link) == target:  # noqa: PTH115 - a warm hit's whole cost
                return False
        with view_errors(link):
            while (there := _target(link)) != target:
                if there is not None:
                    self._replace(link, target)
                    return True
                if self._make(link, target):
                    return True
                # Another process was quicker: look again at what it made.
        return False

    def links(self) -> dict[str, bool]:
        """The links that a view made, by name, and whether each leads to what may be read.

        Those that do not are left where a cache was cleared. None are there before the folder is.

        Raises:
            ViewError: the folder cannot be read.
        """
        with view_errors(self._text):
            try:
                names = sorted(os.listdir(self._text))  # noqa: PTH208 - strings do
            except FileNotFoundError:
                return {}
        found = filter(self._is_ours, names)
        return {name: os.access(f"{self._text}/{name}", os.R_OK) for name in found}

    def refuse_others(self, name: str) -> None:
        """Raises `ViewError` if something is in a link's place that is no link of a view."""
        link = f"{self._text}/{name}"
        with view_errors(link):
            _target(link)

    def _is_ours(self, name: str) -> bool:
        if name.startswith(_FRESH):
            return False
        try:
            return leads_to_a_copy(os.readlink(f"{self._text}/{name}"))  # noqa: PTH115 - likewise
        except OSError:
            return False

    def _make(self, link: str, target: str) -> bool:
        """Makes a link where nothing is; whether nothing was. Needs no rename to be atomic."""
        try:
            os.symlink(target, link)  # noqa: PTH211 - strings, as a hit's look is one
        except FileNotFoundError:
            self._prepare()
        except FileExistsError:
            return False
        else:
            return True
        with contextlib.suppress(FileExistsError):
            os.symlink(target, link)  # noqa: PTH211 - as above
            return True
        return False

    def _replace(self, link: str, target: str) -> None:
        """Renames a new link over one of ours.

        Who puts a file there between the look and the rename loses it: no system call that Python
        has renames over links only.
        """
        if not self._is_swept:
            self._is_swept = True
            self._sweep()
        fresh = f"{self._text}/{_FRESH}{owned_name()}"
        os.symlink(target, fresh)  # noqa: PTH211 - as above
        try:
            os.replace(fresh, link)  # noqa: PTH105 - as above
        except OSError:
            Path(fresh).unlink(missing_ok=True)
            raise

    def _prepare(self) -> None:
        """Makes the folder, for git to ignore: its links lead nowhere on another machine.

        Where it is there already it may hold anything, and git's view of it is not ours to change.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            self.folder.mkdir()
            (self.folder / ".gitignore").write_text("*\n")

    def _sweep(self) -> None:
        """Removes what killed processes were about to rename."""
        for path in self.folder.glob(f"{_FRESH}*"):
            if owner_is_gone(path.name.removeprefix(_FRESH)) or is_left_behind(path):
                with contextlib.suppress(OSError):  # another user's, or gone meanwhile
                    path.unlink()


@contextlib.contextmanager
def view_errors(path: str | Path) -> Iterator[None]:
    """Turns what the operating system says of writing at `path` into the view's error."""
    try:
        yield
    except OSError as error:
        raise ViewError(str(path), error.strerror or str(error)) from error


def _target(link: str) -> str | None:
    """Where a view's link leads, or None where there is nothing.

    Raises:
        OSError: something else is there.
    """
    try:
        target = os.readlink(link)  # noqa: PTH115 - strings do
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise FileExistsError(errno.EEXIST, "something else is in its place") from error
        raise
    if not leads_to_a_copy(target):
        raise FileExistsError(errno.EEXIST, f"a link to {target!r} is in its place")
    return target

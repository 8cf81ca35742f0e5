"""What stands beside a catalog for people: links, and the lockfile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class ViewPort(Protocol):
    """Shows people the current copies, by names that they know."""

    def show(self, name: str, path: Path) -> bool:
        """Has `name` lead to a file in the cache; whether it led elsewhere, or nowhere, before.

        Atomic: whoever opens `name` meanwhile gets the former file or the new one, whole. Where it
        leads there already, that costs one look.

        Raises:
            ViewError: something is in its place that is not a view's, and stays as it is; or the
                view cannot be written.
        """
        ...


class LockfilePort(Protocol):
    """The text of the lockfile, beside the catalog file."""

    @property
    def file(self) -> str:
        """Where it is, for people."""
        ...

    def read(self) -> str | None:
        """Its text; None where there is none.

        Raises:
            LockfileError: it cannot be read, is no text, or is larger than any lockfile is.
        """
        ...

    def update(self, change: Callable[[str | None], str | None]) -> None:
        """Replaces it whole by what `change` makes of its text; where that is None, nothing.

        Everybody reads the one text or the other. Who else updates it on this machine waits, so
        that no update is lost.

        Raises:
            LockfileError: it cannot be written, and is as it was.
        """
        ...

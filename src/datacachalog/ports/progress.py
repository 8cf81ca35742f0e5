"""What shows people how transfers get on."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class TransferProgress(Protocol):
    """Hears how one transfer, or the reading of a copy, gets on.

    Called from several threads; must not raise.
    """

    def total(self, size_bytes: int) -> None:
        """`size_bytes` are to move in all; called before the first byte counts.

        Called again where it has to begin anew: then nothing has moved yet.
        """
        ...

    def advance(self, size_bytes: int) -> None:
        """`size_bytes` more have moved."""
        ...


class ProgressPort(Protocol):
    """Shows transfers to people."""

    def transfer(self, name: str) -> AbstractContextManager[TransferProgress]:
        """Follows one transfer, named `name`, until the context ends.

        Nothing is shown before its `total` is known: a copy that need not move is silent.
        """
        ...


class SilentTransfer:
    """Shows nothing."""

    def total(self, size_bytes: int) -> None: ...

    def advance(self, size_bytes: int) -> None: ...


SILENT = SilentTransfer()


class SilentProgress:
    """Shows nothing, of any transfer."""

    def transfer(self, name: str) -> AbstractContextManager[TransferProgress]:  # noqa: ARG002 - the port's
        return nullcontext(SILENT)

"""What a run reads and writes: whoever fetches or pushes inside of one tells its recorder.

A catalog knows nothing of runs, and a run nothing of catalogs; they meet here.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Recorder(Protocol):
    """Notes the inputs and outputs of one run.

    Called from any thread, and for one thing as often as it is used; each is noted once. Must not
    raise, and asks nothing of a network: to read a table that is in the cache costs no request.
    """

    def read(self, table_name: str, snapshot_id: str) -> None:
        """A snapshot of a table is an input."""
        ...

    def wrote(self, table_name: str, snapshot_id: str) -> None:
        """A snapshot of a table is an output."""
        ...

    def read_object(self, uri: str) -> None:
        """An object that is in no table is an input; its URI holds no credential."""
        ...

    def wrote_object(self, uri: str) -> None:
        """An object that is in no table is an output; its URI holds no credential."""
        ...


_current: ContextVar[Recorder | None] = ContextVar("datacachalog_recorder", default=None)


current_recorder: Callable[[], Recorder | None] = _current.get
"""The recorder of the innermost run around the caller; None where there is none.

It is found in the thread, or the asyncio task, in which `recording` was entered: a pool's threads
do not inherit it.
"""


@contextmanager
def recording(recorder: Recorder | None) -> Iterator[None]:
    """Has `recorder` be the current one inside of the block; None has nothing recorded there.

    >>> with recording(None):
    ...     print(current_recorder())
    None
    """
    token = _current.set(recorder)
    try:
        yield
    finally:
        _current.reset(token)

"""Ctrl-C and SIGTERM end the command soon, whatever it is waiting for.

Python tells the main thread of a signal only between two of its own instructions, and at its end
it waits for every worker thread. A transfer in compiled code would so outlive Ctrl-C by minutes.
Two things help: what may take long runs in another thread, so that the main one can always be
told and clean the screen up; and a watching thread, woken by the signal itself, ends the process
after a moment of grace. The cache is then as a killed process leaves it: whole, with at most a
partial file that is never served and that a later run removes.
"""

from __future__ import annotations

import os
import select
import signal
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Event, Thread
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

from datacachalog.cli.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

T = TypeVar("T")

GRACE_S: Final = 1.5
"""How long cleaning up may take after the first signal. A second signal ends it at once."""

_UNTIL_TOLD_S: Final = 3.0
"""How much longer a machine that is busy may take to tell that the command was interrupted."""

_LOOK_S: Final = 0.2
"""How long the main thread waits at most before it looks whether there was a signal."""

_ENDING: Final = {signal.SIGINT, signal.SIGTERM}


_is_told = Event()


class Terminated(KeyboardInterrupt):
    """SIGTERM was received; like Ctrl-C, no `except Exception` holds it up."""


def bound_interrupts() -> None:
    """Has SIGINT and SIGTERM raise in the main thread, and end the process soon after.

    A signal that was ignored when the process began, as SIGINT is in the background of a shell
    script, stays ignored. To be called from the main thread, once.
    """
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _raise_terminated)
    wakeup, signalled = os.pipe()
    os.set_blocking(signalled, False)
    signal.set_wakeup_fd(signalled, warn_on_full_buffer=False)
    watch = Thread(target=end_after_signal, args=(wakeup, os._exit), daemon=True)
    watch.start()


def end_after_signal(wakeup: int, end: Callable[[int], object], grace_s: float = GRACE_S) -> None:
    """Waits for the number of a signal to be read from `wakeup`; then gives grace, and ends."""
    while (number := os.read(wakeup, 1)[0]) not in _ENDING:
        pass  # one that a library handles
    is_told_again, _, _ = select.select([wakeup], [], [], grace_s)
    if not is_told_again:
        _is_told.wait(_UNTIL_TOLD_S)
    end(128 + number)


def noted() -> None:
    """It was told that the command was interrupted: nothing more is waited for."""
    _is_told.set()


def interruptibly(work: Callable[[], T]) -> T:
    """What `work` returns or raises, done in a thread that Ctrl-C need not wait for."""
    pool = ThreadPoolExecutor(1)
    try:
        future = pool.submit(work)
        # A signal that came just before a wait, or that another thread heard, does not end it.
        while not wait([future], timeout=_LOOK_S).done:
            pass
        return future.result()
    finally:
        pool.shutdown(wait=False)


def exit_code_of(interrupt: BaseException) -> ExitCode:
    """How a command ends that was interrupted so."""
    return ExitCode.TERMINATED if isinstance(interrupt, Terminated) else ExitCode.INTERRUPTED


def _raise_terminated(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated

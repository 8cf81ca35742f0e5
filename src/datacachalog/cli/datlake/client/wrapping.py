"""A program that runs with its output shown and kept, and that is told of every signal.

Its standard output and error stay two streams, and are terminals to it where ours are: programs
write line by line then, and in colour. Its standard input is ours.
"""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import termios
import threading
import tty
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType
    from typing import IO

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_PASSED_ON: Final = (*ENDING, signal.SIGUSR1, signal.SIGUSR2)
_TYPED: Final = (signal.SIGINT, signal.SIGQUIT)
_BLOCK_BYTES: Final = 1 << 16
_QUIET_S: Final = 0.5
NOT_FOUND, NOT_RUN = 127, 126


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: its exit code as a shell tells it, and what it was told to end by."""

    code: int
    told: signal.Signals | None = None
    reason: str | None = None

    @property
    def is_well(self) -> bool:
        """Whether it did what it was to do."""
        return self.code == 0 and self.told is None


class Log:
    """A file that both streams go to; where it cannot be written, `failure` says why."""

    def __init__(self, file: IO[bytes] | None) -> None:
        self._file, self._lock = file, threading.Lock()
        self.failure: OSError | None = None

    def write(self, block: bytes) -> None:
        """Adds what a stream brought."""
        with self._lock:
            if self._file is not None and self.failure is None:
                try:
                    self._file.write(block)
                    self._file.flush()
                except OSError as error:  # the disk is full: the program goes on
                    self.failure = error


def wrapped(command: Sequence[str], environ: dict[str, str], log: Log) -> Ended:
    """Runs a program to its end. To be called from the main thread."""
    with _signals_for() as signals, _streams(log) as (output, errors):
        try:
            process = subprocess.Popen(command, env=environ, stdout=output, stderr=errors)
        except OSError as error:
            code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUN
            told = f"{command[0]!r} cannot be run: {error.strerror}"
            return Ended(code, signals.told, told)
        signals.follow(process)
        _await(process)
    return _ended(process.returncode, signals.told)


def _await(process: subprocess.Popen[bytes]) -> None:
    """Waits for its end in another thread.

    A signal that comes just before this one begins to wait for the system is seen only when that
    ends: so it never waits for long.
    """
    waiter = threading.Thread(target=process.wait, daemon=True)
    waiter.start()
    while waiter.is_alive():
        waiter.join(_QUIET_S)


def _ended(code: int, told: signal.Signals | None) -> Ended:
    if code >= 0:
        reason = f"exit code {code}" if code else None
        return Ended(code, told, reason if told is None else f"told to end by {told.name}")
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return Ended(128 - code, told, f"killed by {name}")


class _Signals:
    """Passes on what this process is told; `told` is the first that is to end the program."""

    def __init__(self) -> None:
        self.told: signal.Signals | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def follow(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        for number in self._early:
            process.send_signal(number)

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        # What is typed, the terminal tells the program itself. Twice would be taken for a second
        # Ctrl-C, which does not let it clean up.
        is_known = number in _TYPED and self.told is None and _is_in_foreground()
        if number in ENDING and self.told is None:
            self.told = signal.Signals(number)
        if self._process is None:
            self._early.append(number)
        elif not is_known:
            self._process.send_signal(number)


@contextmanager
def _signals_for() -> Iterator[_Signals]:
    """Has signals be passed on; those that are ignored, as by `nohup`, stay so."""
    signals, before = _Signals(), {}
    for number in _PASSED_ON:
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, signals)
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_in_foreground() -> bool:
    """Whether what is typed at the terminal reaches our process group."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


@contextmanager
def _streams(log: Log) -> Iterator[tuple[int, int]]:
    """What a program writes to; what came of it is shown when the block has ended."""
    has_ended = threading.Event()
    channels = [_channel(target) for target in (1, 2)]
    copiers = [
        threading.Thread(target=_copy, args=(source, target, log, has_ended), daemon=True)
        for (source, _), target in zip(channels, (1, 2), strict=True)
    ]
    for one in copiers:
        one.start()
    (_, output), (_, errors) = channels
    try:
        yield output, errors
    finally:
        os.close(output)
        os.close(errors)
        has_ended.set()
        for one in copiers:
            one.join()


def _channel(target: int) -> tuple[int, int]:
    """Where a stream is read, and where it is written: a terminal where `target` is one."""
    if not os.isatty(target):
        return os.pipe()
    ours, theirs = pty.openpty()
    tty.setraw(theirs)  # what ends a line is up to the terminal that shows it
    termios.tcsetwinsize(theirs, termios.tcgetwinsize(target))
    return ours, theirs


def _copy(source: int, target: int, log: Log, has_ended: threading.Event) -> None:
    """Shows and keeps a stream until it ends.

    When the program has ended, other programs that it left behind may have the stream still: it
    is not waited for what they may write later. Where nobody reads the output any more, the
    program is told as it would be without us.
    """
    try:
        while block := _next(source, has_ended):
            log.write(block)
            _write(target, block)
    except OSError:  # nobody reads it, or, of a terminal, nobody writes
        pass
    finally:
        os.close(source)


def _next(source: int, has_ended: threading.Event) -> bytes:
    while not select.select([source], [], [], _QUIET_S)[0]:
        if has_ended.is_set():
            return b""
    return os.read(source, _BLOCK_BYTES)


def _write(target: int, block: bytes) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(target, rest) :]

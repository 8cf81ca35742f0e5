"""What the tests of the command line share: streams that are terminals, and whole processes."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from io import StringIO
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

CATALOG = (sys.executable, "-m", "datacachalog")


class Terminal(StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Ran(NamedTuple):
    """A process that has ended, and what it wrote."""

    code: int
    stdout: str
    stderr: str


def ran(*args: str, **environ: str) -> Ran:
    """Runs `catalog` in a process of its own, with pipes."""
    done = subprocess.run(
        [*CATALOG, *args],
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def ran_on_terminal(
    args: Sequence[str],
    *,
    typed: str = "",
    stdout_is_terminal: bool = True,
    environ: Mapping[str, str] | None = None,
    at_sight: tuple[str, Callable[[], object]] = ("", lambda: None),
) -> Ran:
    """Runs `catalog` in a process whose streams are a terminal of 100 columns.

    What it writes there is in `stderr`, with `\\n` for a line's end; `stdout` has what it writes to
    a pipe, where standard output is one. `at_sight` is a text, and what happens once it is shown.
    """
    controller, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 100))
    with subprocess.Popen(
        [*CATALOG, *args],
        env={**os.environ, "TERM": "xterm", **(environ or {})},
        stdin=terminal,
        stdout=terminal if stdout_is_terminal else subprocess.PIPE,
        stderr=terminal,
        start_new_session=True,
    ) as process:
        os.close(terminal)
        os.write(controller, typed.encode())
        shown = _read_all(controller, *at_sight)
        stdout, _ = process.communicate(timeout=60)
    os.close(controller)
    return Ran(process.returncode, (stdout or b"").decode(), shown.decode().replace("\r\n", "\n"))


def _read_all(controller: int, sight: str, act: Callable[[], object]) -> bytes:
    """Everything that is written to a terminal, until its last process has closed it."""
    shown, has_acted = b"", False
    with contextlib.suppress(OSError):  # EIO: nobody has it open any more
        while block := os.read(controller, 65536):
            shown += block
            if not has_acted and sight.encode() in shown:
                has_acted = True
                act()
    return shown


def interrupted(process: subprocess.Popen[str], number: int = signal.SIGINT) -> tuple[Ran, float]:
    """The process after a signal, and the seconds that it took to end."""
    begun = time.monotonic()
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    return Ran(process.returncode, stdout, stderr), time.monotonic() - begun

"""How a server's process is started, watched and ended, so that nothing is left behind."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import sys
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
parent, user = map(int, sys.argv[1:3])
if user:  # first, as the kernel forgets what comes now
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG, kept across execve
if os.getppid() != parent:
    sys.exit("the parent was gone before the server started")
os.execv(sys.argv[3], sys.argv[3:])
"""


class ServerDidNotStartError(RuntimeError):
    """A server gave up, or did not answer in time; the message ends with what it logged."""


def free_ports(count: int) -> list[int]:
    """Different ports that were free a moment ago; another process may take one meanwhile."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class HeldPorts(list[int]):
    """Different ports that nobody else is given as long as this is there.

    Each has a socket that does not listen: whoever connects is refused. Linux has a server that may
    reuse its address, as all of ours may, listen beside it. Elsewhere they were free a moment ago.
    """

    def __init__(self, count: int) -> None:
        super().__init__([] if sys.platform == "linux" else free_ports(count))
        while len(self) < count:
            held = socket.socket()
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(("127.0.0.1", 0))
            self.append(held.getsockname()[1])
            weakref.finalize(self, os.close, held.detach())


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class ServerProcess:
    """A program that runs until `stop`, or until this process ends, however it ends.

    On Linux the kernel ends it with the thread that started it, which should be the main one; on
    other systems it outlives a killed parent. Its output goes to `log`. It runs in a session of
    its own, so that Ctrl-C reaches the tests first.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        log: Path,
        user: int = 0,
        end_by: signal.Signals = signal.SIGTERM,
    ) -> None:
        """Starts it, as another `user` if we are root; `end_by` is what asks it to end."""
        self.log, self._end_by = log, end_by
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-ISc", _DIE_WITH_PARENT, str(os.getpid()), str(user), *command],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        atexit.register(self.stop)

    @property
    def pid(self) -> int:
        return self._process.pid

    def ended(self) -> bool:
        """Whether the program is no longer running."""
        return self._process.poll() is not None

    def log_tail(self, lines: int = 30) -> str:
        """The last lines that the program wrote."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self, grace_s: float = 10) -> None:
        """Ends the program and waits for it; may be called again."""
        atexit.unregister(self.stop)
        if self.ended():
            return
        self._process.send_signal(self._end_by)
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

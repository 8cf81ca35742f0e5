"""A child must not wait for what a thread of its parent held as it was forked."""

from __future__ import annotations

import importlib
import os
import socket
import ssl
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from datacachalog.adapters.storage.aws import StaticKeys
from datacachalog.adapters.storage.forks import loaded

if TYPE_CHECKING:
    from collections.abc import Callable

asking = loaded("signed_head")


def _ask() -> None:
    """Asks one that listens, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        bucket = f"https://127.0.0.1:{server.getsockname()[1]}/lake"
        asked = asking.Asked(bucket, "customers", None, '"1"')
        assert asking.head(asked, "eu-west-1", StaticKeys("key", "secret", None)) is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize(
    ("module", "slow", "work"),
    [
        (importlib, "import_module", lambda: loaded("stored_sums")),
        (asking, "signed", _ask),
        (ssl, "create_default_context", _ask),
        (ssl.SSLSocket, "do_handshake", _ask),
    ],
    ids=["import", "signature", "context", "handshake"],
)
def test_a_fork_waits_for(
    monkeypatch: pytest.MonkeyPatch, module: object, slow: str, work: Callable[[], object]
) -> None:
    begun, known = threading.Event(), getattr(module, slow)
    asking._opener.cache_clear()
    monkeypatch.setattr(asking, "_TIMEOUT_S", 0.1)
    done: list[str] = []

    def slowly(*args: object, **options: object) -> object:
        begun.set()
        threading.Event().wait(0.3)
        done.append(slow)
        return known(*args, **options)

    monkeypatch.setattr(module, slow, slowly)
    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(30)

    child = os.fork()
    if child == 0:
        os._exit(0 if done == [slow] and loaded("stored_sums") else 1)

    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    thread.join()


IMPORTING = """
import os, sys, threading, time
from datacachalog.adapters.storage import forks
from datacachalog.adapters.storage.forks import loaded

thread = threading.Thread(target=loaded, args=["s3_boto"])
thread.start()
time.sleep(float(sys.argv[1]))
forks._PATIENCE_S = 600
child = os.fork()
if child == 0:
    os._exit(0 if loaded("s3_boto") else 1)
thread.join()
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("pause_s", [0.02, 0.08, 0.16])
def test_one_that_waits_for_an_import_holds_nothing_that_it_wants(
    pause_s: float,
) -> None:
    """boto3 asks `logging` for its lock, which a fork takes too: in this order or in that."""
    program = [sys.executable, "-c", IMPORTING, str(pause_s)]

    ended = subprocess.run(program, check=False, capture_output=True, text=True, timeout=90)

    assert (0, "") == (ended.returncode, ended.stderr)

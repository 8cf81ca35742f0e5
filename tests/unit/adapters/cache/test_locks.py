"""Locks between processes, and what happens where there are none."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from datacachalog.adapters.cache.locks import exclusive

NOW = timedelta(0)
LONG = timedelta(seconds=30)

HOLD = """
import sys, time
from datetime import timedelta
from datacachalog.adapters.cache.locks import exclusive
with exclusive(sys.argv[1], timedelta(0), prepare=lambda: None) as held:
    print(held, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def lock(tmp_path):
    return str(tmp_path / "a.lock")


def nothing():
    """There is nothing to prepare."""


def is_free(lock):
    with exclusive(lock, NOW, prepare=nothing) as held:
        return held


@pytest.fixture
def holder(lock):
    """Another process, which has the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, lock], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert "True\n" == process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_another_process_is_held_off(lock, holder):
    assert not is_free(lock)


def test_the_lock_of_a_killed_process_is_free(lock, holder):
    holder.kill()
    holder.wait()

    assert is_free(lock)


def test_a_lock_is_waited_for(lock, holder):
    begun = time.monotonic()
    threading.Timer(0.2, holder.kill).start()

    with exclusive(lock, LONG, prepare=nothing) as held:
        waited_s = time.monotonic() - begun

    assert held
    assert 0.1 < waited_s < 25


def test_a_lock_can_be_had_again_and_again(lock):
    assert [True] * 3 == [is_free(lock) for _ in range(3)]


def test_a_lock_file_stays(lock):
    with exclusive(lock, NOW, prepare=nothing):
        inode = Path(lock).stat().st_ino

    assert inode == Path(lock).stat().st_ino


def test_the_folder_is_made_when_it_is_missing(tmp_path):
    folder = tmp_path / "locks"

    with exclusive(f"{folder}/a.lock", NOW, prepare=folder.mkdir) as held:
        assert held


def test_a_folder_that_cannot_be_made_holds_nobody_off(tmp_path):
    def fail():
        raise PermissionError(errno.EACCES, "Permission denied")

    with exclusive(f"{tmp_path}/locks/a.lock", NOW, prepare=fail) as held:
        assert not held


def test_what_fails_without_the_lock_is_not_told_as_the_locks_fault(tmp_path):
    """A cache that may not be written has no locks; its reader hears only of what failed."""
    with (
        pytest.raises(ValueError) as caught,
        exclusive(f"{tmp_path}/none/a.lock", NOW, prepare=nothing),
    ):
        raise ValueError

    assert None is caught.value.__context__


def test_a_link_is_no_lock(tmp_path, lock):
    (tmp_path / "victim").write_text("mine")
    Path(lock).symlink_to("victim")

    assert not is_free(lock)
    assert "mine" == (tmp_path / "victim").read_text()


def test_a_file_system_without_locks_holds_nobody_off(lock, monkeypatch):
    def refuse(fd, operation):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    begun = time.monotonic()

    with exclusive(lock, LONG, prepare=nothing) as held:
        assert not held

    assert time.monotonic() - begun < 25


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_does_not_keep_the_lock(lock, tmp_path):
    """It has the file open too, for as long as it lives."""
    program = f"""
import os, sys, time
from datetime import timedelta
from datacachalog.adapters.cache.locks import exclusive
with exclusive({lock!r}, timedelta(0), prepare=lambda: None):
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
with exclusive({lock!r}, timedelta(0), prepare=lambda: None) as held:
    print(held)
os.kill(child, 9)
os.wait()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )

    assert "True\n" == done.stdout

"""A signal ends the process soon; whole processes are in `test_processes`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from datacachalog.cli.exits import ExitCode
from datacachalog.cli.interrupts import (
    Terminated,
    end_after_signal,
    exit_code_of,
    interruptibly,
    noted,
)


@pytest.fixture
def wakeup():
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def test_a_signal_ends_the_process_after_a_moment_of_grace(wakeup):
    reading, writing = wakeup
    ended: list[int] = []
    os.write(writing, b"\x02")
    begun = time.monotonic()

    end_after_signal(reading, ended.append, grace_s=0.1)

    assert [130] == ended
    assert time.monotonic() - begun >= 0.1


def test_a_busy_machine_may_take_longer_to_tell_of_it(wakeup, monkeypatch):
    reading, writing = wakeup
    told, when_ended = threading.Event(), []
    monkeypatch.setattr("datacachalog.cli.interrupts._is_told", told)
    monkeypatch.setattr("datacachalog.cli.interrupts._UNTIL_TOLD_S", 60.0)
    os.write(writing, b"\x02")
    threading.Timer(0.3, noted).start()

    end_after_signal(reading, lambda _: when_ended.append(told.is_set()), grace_s=0.01)

    assert [True] == when_ended


def test_a_second_signal_ends_the_grace(wakeup):
    reading, writing = wakeup
    ended: list[int] = []
    os.write(writing, b"\x0f\x0f")
    begun = time.monotonic()

    end_after_signal(reading, ended.append, grace_s=60)

    assert [143] == ended
    assert time.monotonic() - begun < 30


def test_a_signal_that_a_library_handles_ends_nothing(wakeup):
    reading, writing = wakeup
    ended: list[int] = []
    os.write(writing, bytes([signal.SIGCHLD, signal.SIGTERM, signal.SIGINT]))

    end_after_signal(reading, ended.append, grace_s=60)

    assert [143] == ended


def test_work_that_may_take_long_is_done_in_another_thread():
    assert threading.get_ident() != interruptibly(threading.get_ident)


def test_an_error_of_that_work_is_raised_here():
    with pytest.raises(ZeroDivisionError):
        interruptibly(lambda: 1 / 0)


@pytest.mark.parametrize(
    ("interrupt", "code"),
    [(KeyboardInterrupt(), ExitCode.INTERRUPTED), (Terminated(), ExitCode.TERMINATED)],
)
def test_the_exit_code_tells_the_signals_apart(interrupt, code):
    assert code is exit_code_of(interrupt)


UNHEARD = """
import os, signal, threading, time
from datacachalog.cli.interrupts import interruptibly

threading.Thread(target=time.sleep, args=[60], daemon=True).start()  # which hears signals
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # in this thread, and those to come
print("ready", flush=True)
try:
    interruptibly(lambda: time.sleep(60))
except KeyboardInterrupt:
    print("interrupted", flush=True)
os._exit(0)
"""


def test_a_signal_that_another_thread_heard_ends_the_wait() -> None:
    command = [sys.executable, "-c", UNHEARD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "ready\n" == process.stdout.readline()
        time.sleep(0.5)  # until it waits; sooner, it is told in any case
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()

        assert "interrupted\n" == process.stdout.readline()
        assert time.monotonic() - begun < 30

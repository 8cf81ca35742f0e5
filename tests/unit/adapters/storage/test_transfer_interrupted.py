"""Transfers that the system or Ctrl-C ends halfway give back all that they took."""

from __future__ import annotations

import os
import resource
import signal
import threading
import time

import pytest

from datacachalog.adapters.journal import has_journal
from datacachalog.adapters.storage import transfer as engine
from datacachalog.adapters.storage.transfer import PART_BYTES, ObjectChangedError, transfer
from datacachalog.domain.errors import CacheError, CacheFullError
from datacachalog.ports import SILENT
from datacachalog.testing.payloads import RecordedTransfer, digest_of
from tests.unit.adapters.storage.parts import (
    DATA,
    SIZE,
    STARTS,
    FakeSource,
    nothing_is_kept,
    refused,
    transferred,
    wait_for_workers,
)

__all__ = ["nothing_is_kept"]
pytestmark = pytest.mark.usefixtures("nothing_is_kept")

_MAIN = threading.main_thread().ident or 0


@pytest.fixture
def dest(tmp_path):
    return tmp_path / "new" / "dest"


class TestTheSystem:
    def test_a_file_that_is_there_is_not_written_over(self, tmp_path):
        (tmp_path / "mine").write_text("mine")

        with pytest.raises(CacheError):
            transferred(FakeSource(), tmp_path / "mine")

        assert "mine" == (tmp_path / "mine").read_text()

    @pytest.mark.parametrize("limit", [1_000, PART_BYTES + 1_000, SIZE - 1])
    def test_a_full_disk_is_told(self, dest, limit):
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
        try:
            with pytest.raises(CacheFullError):
                transferred(FakeSource(), dest)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    @pytest.mark.parametrize("threads", [0, 1, 2])
    def test_a_system_without_more_threads_makes_do_with_those_there_are(
        self, dest, threads, monkeypatch
    ):
        start, started = threading.Thread.start, set[threading.Thread]()

        def limited(thread):
            if len(started) == threads:
                raise RuntimeError("can't start new thread")
            started.add(thread)
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", limited)

        info = transferred(FakeSource(), dest)

        assert (digest_of(DATA), DATA) == (info.digest, dest.read_bytes())

    def test_a_failure_without_more_threads_is_told(self, dest, monkeypatch):
        def refuse(_):
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", refuse)

        with pytest.raises(ObjectChangedError):
            transferred(FakeSource(answers={STARTS[1]: refused}), dest)

    def test_who_waits_for_memory_hears_of_a_failure(self, dest):
        """Other transfers hold all slots but one, and that is taken by the part that fails."""
        transferred(FakeSource(), dest.with_name("other"))
        slots, source = engine._slots[os.getpid()], FakeSource()
        for _ in range(engine._HELD_PARTS - 1):
            slots.acquire()

        def fail(_):
            time.sleep(0.25)  # so that the other threads wait, more than once
            raise ObjectChangedError

        source.answers = dict.fromkeys(STARTS, fail)
        try:
            with pytest.raises(ObjectChangedError):
                transferred(source, dest)
        finally:
            slots.release(engine._HELD_PARTS - 1)

        assert [0, STARTS[0]] == source.asked

    def test_so_many_parts_are_in_memory_and_no_more(self, dest):
        """Those that came wait for the first of them, which takes its time."""
        size, go_on, changed = 16 * PART_BYTES, threading.Event(), threading.Condition()
        source = FakeSource(bytes(size))

        def wait(part):
            tell(part)
            assert go_on.wait(60)
            return part

        def tell(part):
            with changed:
                changed.notify()
            return part

        source.answers = dict.fromkeys(range(2 * PART_BYTES, size, PART_BYTES), tell)
        source.answers[PART_BYTES] = wait
        done = threading.Thread(target=transferred, args=(source, dest))
        done.start()
        try:
            with changed:
                enough = changed.wait_for(
                    lambda: len(source.asked) > engine._HELD_PARTS, timeout=30
                )
            time.sleep(0.05)
            asked = len(source.asked)
        finally:
            go_on.set()
            done.join()

        assert (True, 1 + engine._HELD_PARTS) == (enough, asked)
        assert bytes(size) == dest.read_bytes()


class TestInterrupts:
    @pytest.fixture
    def interrupted(self, dest):
        """Transfers a source until Ctrl-C comes with the part at `start`; how to let go on."""
        source, go_on, once = FakeSource(), threading.Event(), threading.Lock()

        def wait(part):
            assert go_on.wait(30)
            return part

        def interrupt(part):
            if once.acquire(blocking=False):
                signal.pthread_kill(_MAIN, signal.SIGINT)
            return wait(part)

        def interrupted(start):
            source.answers = {**dict.fromkeys(STARTS, wait), start: interrupt}
            with pytest.raises(KeyboardInterrupt):
                transferred(source, dest)
            return go_on.set

        yield interrupted
        go_on.set()

    @pytest.mark.parametrize("start", [STARTS[0], STARTS[-1]])
    def test_ctrl_c_ends_a_transfer_whose_parts_have_not_come(self, interrupted, start):
        """It may come while threads still begin, or while all of them work."""
        interrupted(start)

    def test_what_comes_after_an_interrupt_is_written_nowhere(self, interrupted, dest, tmp_path):
        go_on, victim = interrupted(STARTS[-1]), tmp_path / "victim"
        before = dest.read_bytes()

        with victim.open("wb"):  # takes the descriptor of `dest`, if that was closed too early
            go_on()
            wait_for_workers()

        assert b"" == victim.read_bytes()
        assert before == dest.read_bytes()

    def test_what_came_before_an_interrupt_can_be_gone_on_with(self, interrupted, dest):
        interrupted(STARTS[-1])
        source = FakeSource()

        transfer(source, dest, None, SILENT, resume=True)

        assert [*STARTS] == sorted(source.asked)
        assert DATA == dest.read_bytes()

    def test_where_somebody_may_still_write_nobody_goes_on(self, dest):
        """It would write to what is somebody else's file by then."""
        go_on, is_stuck = threading.Event(), threading.Event()

        class Stuck(RecordedTransfer):
            def advance(self, size_bytes):
                super().advance(size_bytes)
                if self.moved_bytes == 2 * PART_BYTES:
                    is_stuck.set()
                    signal.pthread_kill(_MAIN, signal.SIGINT)
                    assert go_on.wait(30)

        def interrupt(_signal, _frame):  # and none that another test's thread has sent late
            if is_stuck.is_set():
                raise KeyboardInterrupt

        before = signal.signal(signal.SIGINT, interrupt)
        try:
            with pytest.raises(KeyboardInterrupt):
                transferred(FakeSource(), dest, Stuck())
            assert not has_journal(dest)
        finally:
            signal.signal(signal.SIGINT, before)
            go_on.set()

    def test_a_thread_that_begins_after_an_interrupt_does_nothing(self, dest, monkeypatch):
        """Ctrl-C may come while a thread is being started, and the thread runs all the same."""
        start, late = threading.Thread.start, list[threading.Thread]()

        def interrupted(thread):
            late.append(thread)
            raise KeyboardInterrupt

        monkeypatch.setattr(threading.Thread, "start", interrupted)
        source = FakeSource()
        with pytest.raises(KeyboardInterrupt):
            transferred(source, dest)

        for thread in late:
            start(thread)
            thread.join()

        assert [0] == source.asked

"""One thing done for many names: all are tried, all failures are told, bugs are not hidden."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest

from datacachalog.application.batch import DEFAULT_WORKERS, for_each
from datacachalog.domain.errors import DatasetNotFoundError


def _upper(name):
    return name.upper()


def _upper_unless_b(name):
    if name == "b":
        raise DatasetNotFoundError(name)
    return name.upper()


def _process_of(_):
    return os.getpid()


@pytest.mark.parametrize("max_workers", [None, 0, 1, 100, -1])
def test_what_was_given_comes_in_the_order_of_the_names(max_workers):
    results, failures = for_each(_upper, iter("cab"), max_workers=max_workers)

    assert ([("c", "C"), ("a", "A"), ("b", "B")], {}) == (list(results.items()), failures)


def test_no_names_give_nothing(monkeypatch):
    started: list[threading.Thread] = []
    monkeypatch.setattr(threading.Thread, "start", started.append)

    assert ({}, {}) == for_each(_upper, [])
    assert [] == started


def test_all_are_tried_though_one_fails():
    results, failures = for_each(_upper_unless_b, "abc", max_workers=1)

    assert ["a", "c"] == list(results)
    assert ["b"] == list(failures)
    assert isinstance(failures["b"], DatasetNotFoundError)


def test_a_name_that_comes_twice_is_done_once():
    done: list[str] = []

    for_each(done.append, "abab", max_workers=1)

    assert ["a", "b"] == done


@pytest.mark.parametrize(("max_workers", "expected"), [(1, 1), (3, 3), (None, DEFAULT_WORKERS)])
def test_so_many_are_done_at_once_and_no_more(max_workers, expected):
    together, lock = threading.Barrier(expected, timeout=30), threading.Lock()
    running, counts = set(), []

    def work(name):
        with lock:
            running.add(name)
            counts.append(len(running))
        together.wait()
        with lock:
            running.remove(name)

    for_each(work, [f"d{n}" for n in range(expected * 4)], max_workers=max_workers)

    assert expected == max(counts)


@pytest.mark.parametrize("bug", [ZeroDivisionError, KeyboardInterrupt])
def test_a_bug_is_raised_and_the_rest_is_not_begun(bug):
    done, go_on = [], threading.Event()

    def work(name):
        done.append(name)
        if name == "d0":
            raise bug
        go_on.wait(30)

    with pytest.raises(bug):
        for_each(work, [f"d{n}" for n in range(100)], max_workers=1)
    go_on.set()

    # The only thread may have begun another one before that was heard of.
    assert done in (["d0"], ["d0", "d1"])


def test_nobody_waits_for_the_others_after_a_bug():
    go_on = threading.Event()

    def work(name):
        if name == "bug":
            raise ZeroDivisionError
        go_on.wait(30)

    with pytest.raises(ZeroDivisionError):
        for_each(work, ["bug", "slow"], max_workers=2)

    go_on.set()


@pytest.mark.parametrize("given", [1, 3])
def test_fewer_threads_do_it_where_the_system_has_no_more(monkeypatch, given):
    start, started = threading.Thread.start, set[threading.Thread]()

    def start_some(thread):
        if len(started) == given:
            raise RuntimeError("can't start new thread")
        started.add(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_some)

    assert ({"a": "A", "b": "B", "c": "C", "d": "D"}, {}) == for_each(_upper, "abcd")
    assert given == len(started)


def test_no_thread_at_all_is_an_error(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    with pytest.raises(RuntimeError, match="can't start"):
        for_each(_upper, "ab")


def test_what_a_daemon_thread_has_begun_is_done_before_the_program_ends():
    program = """
import os, threading, time
from datacachalog.application.batch import for_each

have_begun = threading.Barrier(3, timeout=60)

def work(name):
    have_begun.wait()
    time.sleep(0.3)
    os.write(1, f"{name} ".encode())

threading.Thread(target=for_each, args=(work, "ab"), daemon=True).start()
have_begun.wait()
"""
    done = subprocess.check_output([sys.executable, "-c", program], text=True)

    assert ["a", "b"] == sorted(done.split())


def test_a_given_executor_is_left_open():
    with ThreadPoolExecutor(1, thread_name_prefix="given") as executor:
        results, _ = for_each(lambda _: threading.current_thread().name, "ab", executor=executor)

        assert {"given_0"} == set(results.values())
        assert 1 == executor.submit(int, 1).result()


def test_what_a_bug_cancels_in_a_given_executor_is_not_begun():
    done, slow_has_begun, go_on = [], threading.Event(), threading.Event()

    def work(name):
        done.append(name)
        if name == "bug":
            assert slow_has_begun.wait(30)
            raise ZeroDivisionError
        if name == "slow":
            slow_has_begun.set()
        go_on.wait(30)

    with ThreadPoolExecutor(2) as executor:
        with pytest.raises(ZeroDivisionError):
            for_each(work, ["bug", "slow", "other", "another"], executor=executor)
        go_on.set()

        assert 1 == executor.submit(int, 1).result()
    assert {"bug", "slow"} <= set(done)
    assert "another" not in done


def test_work_may_be_done_in_other_processes():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        pids, _ = for_each(_process_of, "abcd", executor=executor)
        results, failures = for_each(_upper_unless_b, "abc", executor=executor)

    assert os.getpid() not in pids.values()
    assert {"a": "A", "c": "C"} == results
    assert "dataset 'b' is not in the catalog" == str(failures["b"])

"""Runs whose registry, or whose own process, dies: none is left open silently."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
import uuid

import pytest

from datlake_sdk import JobContext, SDKError, TransientNetworkError
from tests.integration.sdk.jobs import client_of, log_of, run_of, runs_of
from tests.servers.counting import CountingProxy
from tests.servers.exchange import Script

PROGRAM = """
import os, signal, sys, time
from datlake_sdk import JobContext
job = sys.argv[1]
{body}
"""


@pytest.fixture
def job() -> str:
    return f"job-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def own(new_server):
    """A registry that the test may kill while others use theirs."""
    return new_server()


def eventually(is_so, seconds=60):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# --- the registry dies


def test_a_registry_that_comes_back_in_time_is_told(own, job):
    run = JobContext(client_of(own, retry="max=200,base_ms=1,deadline_ms=60000"), job)

    def in_the_block():
        with run:
            is_in.set()
            is_dead.wait()

    is_in, is_dead = threading.Event(), threading.Event()
    thread = threading.Thread(target=in_the_block)
    thread.start()
    is_in.wait()
    own.kill()
    is_dead.set()
    own.start()  # not in the thread: the server would end with it
    thread.join()

    assert "success" == run_of(own, run.run_id)["status"]


def test_a_registry_that_is_killed_while_it_registers_registers_once(own, job, table):
    own.more["DATLAKE_SERVER_LEASE_S"] = "2"  # from its next start on
    own.stop()
    own.start()
    client = client_of(own, retry="max=200,base_ms=1,deadline_ms=60000")
    uris = [own.object(b"id\n%d\n" % number) for number in range(30)]
    made, has_begun = [], threading.Event()

    def in_the_block():
        with JobContext(client, job, heartbeat_interval_s=1) as run:
            for uri in uris:
                made.append(run.register_snapshot(table, uri, format="csv")["snapshot_id"])
                has_begun.set()
        made.append(run.run_id)

    thread = threading.Thread(target=in_the_block)
    thread.start()
    has_begun.wait()
    for _ in range(2):
        time.sleep(0.2)
        own.kill()
        own.start()
    thread.join()

    run_id = made.pop()
    snapshots = own.ask("GET", f"/tables/{table}/snapshots")
    assert made[::-1] == [one["snapshot_id"] for one in snapshots]
    assert uris[::-1] == [one["uri"] for one in snapshots]
    found = run_of(own, run_id)
    assert ("success", made) == (
        found["status"],
        [one["snapshot_id"] for one in found["outputs"]],
    )


def test_a_completion_that_fails_is_raised_and_may_be_repeated(own, job):
    run = JobContext(client_of(own), job).start()
    own.kill()

    with pytest.raises(TransientNetworkError) as raised:
        run.complete(extra={"rows": 3})

    assert run.run_id == raised.value.run_id
    own.start()
    assert "running" == run_of(own, run.run_id)["status"]
    run.complete(extra={"rows": 3})
    assert "success" == run_of(own, run.run_id)["status"]


def test_the_users_exception_is_not_replaced_by_an_outage(own, job, caplog):
    caplog.set_level(logging.WARNING, "datlake_sdk")
    mine = LookupError("mine")

    with pytest.raises(LookupError) as raised, JobContext(client_of(own), job) as run:  # noqa: PT012
        own.kill()
        raise mine

    assert mine is raised.value
    [note] = mine.__notes__
    assert f"run {run.run_id} was not completed as it should be" in note
    assert note in caplog.messages
    own.start()
    run._at_exit()
    found = run_of(own, run.run_id)
    assert ("failed", "LookupError: mine") == (found["status"], found["error"])


def test_an_answer_that_is_lost_does_not_complete_twice(server, job):
    lost = iter([True])
    with CountingProxy(server.base_url) as proxy:
        proxy.hook = lambda one: (
            Script(is_lost=True) if one.path.endswith("/complete") and next(lost, 0) else None
        )
        with JobContext(client_of(server, proxy.endpoint), job) as run:
            run.add_metadata({"rows": 3})
        sent = [one for one in proxy.requests if one.path.endswith("/complete")]

    assert 2 == len(sent)
    assert 1 == len({one.headers["idempotency-key"] for one in sent})
    assert {"rows": 3} == run_of(server, run.run_id)["metadata"]


def test_a_start_whose_answer_is_lost_is_one_run(server, job):
    lost = iter([True])
    with CountingProxy(server.base_url) as proxy:
        proxy.hook = lambda one: (
            Script(is_lost=True) if one.path.endswith("/runs") and next(lost, 0) else None
        )
        with JobContext(client_of(server, proxy.endpoint), job) as run:
            pass

    assert [run.run_id] == [one["run_id"] for one in runs_of(server, job)]


def test_a_start_that_arrived_without_an_answer_is_aborted_at_the_end(server, job):
    with CountingProxy(server.base_url) as proxy:
        proxy.hook = lambda one: Script(is_lost=True) if one.path.endswith("/runs") else None
        run = JobContext(client_of(server, proxy.endpoint), job)
        with pytest.raises(TransientNetworkError):
            run.start()

        assert ["running"] == [one["status"] for one in runs_of(server, job)]
        run._at_exit()

    assert ["aborted"] == [one["status"] for one in runs_of(server, job)]


def test_heartbeats_survive_an_outage(own, job, caplog):
    caplog.set_level(logging.WARNING, "datlake_sdk")
    client = client_of(own, retry="max=0")
    with JobContext(client, job, heartbeat_interval_s=1) as run:
        own.kill()
        eventually(lambda: isinstance(run.heartbeat_error, TransientNetworkError))
        own.start()
        eventually(lambda: run.heartbeat_error is None)
        eventually(lambda: run_of(own, run.run_id)["beat_at"] is not None)

    assert "success" == run_of(own, run.run_id)["status"]
    assert ["cannot say", "can say again"] == [
        told for line in caplog.messages for told in ("cannot say", "can say again") if told in line
    ]


def test_a_registry_that_hangs_is_not_waited_for_longer_than_the_setting(server, job, monkeypatch):
    with CountingProxy(server.base_url) as proxy:
        patient = client_of(server, proxy.endpoint)  # while nothing hangs, however slow it is
        run = JobContext(patient, job).start()
        monkeypatch.setenv("DATLAKE_DEFAULT_TIMEOUT_MS", "300")
        run.client = client_of(server, proxy.endpoint, retry="max=1,base_ms=1")
        proxy.hook = lambda _: Script(delay_s=100)
        begun = time.monotonic()

        with pytest.raises(TransientNetworkError):
            run.complete()

        assert time.monotonic() - begun < 25
        proxy.hook = lambda _: None
        run.client = patient
        run.complete()
    assert "success" == run_of(server, run.run_id)["status"]


# --- the process ends


def started(server, job, body, **more):
    """A program that uses the SDK; it says `ready` when it wants to be heard."""
    environ = {
        **os.environ,
        "DATLAKE_API_URL": server.base_url,
        "DATLAKE_API_KEY": server.admin_key,
        "DATLAKE_SDK_RETRY": "max=1,base_ms=20",
        **more,
    }
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(body=body), job],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def go_on(process):
    """Has a program go on that reads a line."""
    process.stdin.write("\n")
    process.stdin.flush()


def finished(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def only_run(server, job):
    [run] = runs_of(server, job)
    return run["status"], run["error"]


def test_a_run_that_nobody_completes_is_aborted_when_the_interpreter_ends(server, job):
    done = finished(started(server, job, "JobContext(job, ship_logs=True).start()"))

    assert (0, "", "") == done
    told = "the interpreter ended before the run was completed"
    assert ("aborted", told) == only_run(server, job)
    [run] = runs_of(server, job)
    assert ["log"] == [one["type"] for one in run_of(server, run["run_id"])["artifacts"]]


def test_so_is_one_whose_program_fails(server, job):
    code, _, err = finished(started(server, job, "run = JobContext(job).start()\n1 / 0"))

    assert (1, True) == (code, "ZeroDivisionError" in err)
    assert "aborted" == only_run(server, job)[0]


def test_ctrl_c_aborts_the_run(server, job):
    body = "with JobContext(job):\n    print('ready', flush=True)\n    time.sleep(60)"
    process = started(server, job, body)
    assert process.stdout is not None
    assert "ready\n" == process.stdout.readline()

    process.send_signal(signal.SIGINT)

    _, _, err = finished(process)
    assert "KeyboardInterrupt" in err
    assert ("aborted", "KeyboardInterrupt") == only_run(server, job)


def test_sigterm_aborts_the_run_where_it_is_an_exit(server, job):
    body = (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        "with JobContext(job):\n    print('ready', flush=True)\n    time.sleep(60)"
    )
    process = started(server, job, body)
    assert process.stdout is not None
    assert "ready\n" == process.stdout.readline()

    process.terminate()

    assert 143 == finished(process)[0]
    assert ("aborted", "SystemExit: 143") == only_run(server, job)


def test_a_completion_that_failed_is_sent_again_when_the_interpreter_ends(own, job):
    body = """
run = JobContext(job).start()
print('started', flush=True)
sys.stdin.readline()
try:
    run.complete(extra={"rows": 3})
except Exception as error:
    print(type(error).__name__, flush=True)
sys.stdin.readline()
"""
    process = started(own, job, body)
    assert "started\n" == process.stdout.readline()
    own.kill()
    go_on(process)
    assert "TransientNetworkError\n" == process.stdout.readline()
    own.start()
    go_on(process)

    code, _, err = finished(process)

    assert (0, True) == (code, "has no answer" in err)
    [run] = runs_of(own, job)
    assert ("success", {"rows": 3}) == (run["status"], run["metadata"])


def test_what_was_suppressed_is_told_when_the_interpreter_ends(own, job):
    body = """
with JobContext(job) as run:
    print('started', flush=True)
    sys.stdin.readline()
print('over', flush=True)
sys.stdin.readline()
"""
    process = started(own, job, body, DATLAKE_SDK_ERROR_STRATEGY="suppress_transient")
    assert "started\n" == process.stdout.readline()
    own.kill()
    go_on(process)
    assert "over\n" == process.stdout.readline()
    own.start()
    go_on(process)

    code, _, err = finished(process)

    assert (0, True) == (code, "it goes on without" in err)
    assert ("success", None) == only_run(own, job)


def test_warnings_are_seen_on_stderr_also_while_they_are_captured(server, job):
    body = """
import logging
with JobContext(job, ship_logs=True), JobContext(job, ship_logs=True):
    logging.getLogger("mine").warning("once")
    logging.getLogger("mine").info("never")
    mine = logging.getLogger("configured")
    mine.addHandler(logging.StreamHandler(sys.stdout))
    mine.warning("elsewhere")
"""
    code, out, err = finished(started(server, job, body))

    assert (0, "elsewhere\n", "once\n") == (code, out, err)
    for run in runs_of(server, job):
        [log] = run_of(server, run["run_id"])["artifacts"]
        text = log_of(server, log["uri"])
        assert ["once", "elsewhere"] == [word for word in ("once", "elsewhere") if word in text]


def test_a_process_that_is_killed_is_lost_by_its_heartbeats(server, job):
    body = (
        "with JobContext(job, heartbeat_interval_s=1):\n"
        "    print('ready', flush=True)\n    time.sleep(60)"
    )
    process = started(server, job, body)
    assert process.stdout is not None
    assert "ready\n" == process.stdout.readline()

    process.kill()
    finished(process)

    eventually(lambda: only_run(server, job)[0] == "lost", 60)


FORKS = {
    "the child ends in the block": (
        "with JobContext(job):\n"
        "    child = os.fork()\n"
        "    if child:\n        os.waitpid(child, 0)\n"
    ),
    "the child exits": (
        "with JobContext(job):\n"
        "    child = os.fork()\n"
        "    if child:\n        os.waitpid(child, 0)\n"
        "    else:\n        sys.exit(3)\n"
    ),
    "the child fails": (
        "with JobContext(job):\n"
        "    child = os.fork()\n"
        "    if child:\n        os.waitpid(child, 0)\n"
        "    else:\n        raise LookupError\n"
    ),
    "the child completes": (
        "run = JobContext(job).start()\n"
        "child = os.fork()\n"
        "if child:\n    os.waitpid(child, 0)\n    run.complete()\n"
        "else:\n"
        "    run.log_event('forked', {})\n"
        "    try:\n        run.complete(success=False)\n"
        "    except Exception as error:\n        print(error)\n"
    ),
}


@pytest.mark.parametrize("what", FORKS)
def test_a_forked_child_does_not_complete_the_run(server, job, what):
    code, out, _ = finished(started(server, job, FORKS[what]))

    assert 0 == code
    assert ("completed by the process that started it" in out) == (what == "the child completes")
    assert ("success", None) == only_run(server, job)


def test_an_error_that_leaves_the_block_is_seen_with_its_note(own, job):
    body = (
        "with JobContext(job):\n"
        "    print('ready', flush=True)\n    sys.stdin.readline()\n    raise LookupError('mine')"
    )
    process = started(own, job, body)
    assert process.stdout is not None
    assert "ready\n" == process.stdout.readline()
    own.kill()
    go_on(process)

    code, _, err = finished(process)

    assert 1 == code
    assert "LookupError: mine\nrun " in err
    assert "stays open" in err


def test_without_a_registry_a_block_is_not_run(job):
    nobody = JobContext(job_name=job)

    with pytest.raises(SDKError, match="not known which registry"), nobody:
        raise AssertionError("the block was run")

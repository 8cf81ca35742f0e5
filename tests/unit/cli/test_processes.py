"""Whole processes: pipes, terminals and signals, as a shell would have them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.faults.shim import Fault, Kind, environment
from tests.unit.cli.support import CATALOG, interrupted, ran, ran_on_terminal

MIB = 1 << 20
BIG = 24 * MIB  # three parts


class SlowStore(ThreadingHTTPServer):
    """An S3 server with one big object: its first part comes at once, the others wait.

    They wait for `pause_s`, or until all may `go_on`; with `is_silent`, so does every request.
    `asked` counts the requests.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _SlowAnswer)
        self.pause_s = 0.8
        self.is_silent = False
        self.asked = 0
        self.may_go_on = threading.Event()

    def wait(self) -> None:
        self.may_go_on.wait(self.pause_s)

    def go_on(self) -> None:
        self.may_go_on.set()

    def wait_for(self, requests: int) -> None:
        deadline = time.monotonic() + 60
        while self.asked < requests:
            assert time.monotonic() < deadline, "the store was never asked"
            time.sleep(0.01)


class _SlowAnswer(BaseHTTPRequestHandler):
    server: SlowStore
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        self.server.asked += 1
        first, _, last = self.headers["range"].removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last), BIG - 1)
        if start or self.server.is_silent:
            self.server.wait()
        self.send_response(206)
        self.send_header("Content-Length", str(end + 1 - start))
        self.send_header("Content-Range", f"bytes {start}-{end}/{BIG}")
        self.send_header("ETag", '"big"')
        self.send_header("Last-Modified", "Sun, 01 Mar 2026 12:00:00 GMT")
        self.end_headers()
        with contextlib.suppress(OSError):  # the client was interrupted
            self.wfile.write(bytes(end + 1 - start))

    def do_PUT(self) -> None:
        self.server.asked += 1
        self.server.wait()
        self.close_connection = True


@pytest.fixture
def slow(project, monkeypatch):
    """A project whose dataset `big` is in a slow store."""
    with SlowStore() as store:
        serving = threading.Thread(target=store.serve_forever, args=(0.02,))
        serving.start()
        endpoint = f"http://127.0.0.1:{store.server_port}"
        (project / "catalog.yaml").write_text(
            "version: 1\n"
            f"storage: {{'s3://': {{endpoint_url: '{endpoint}'}}}}\n"
            "datasets:\n  big: {source: s3://lake/big.bin}\n"
        )
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield store
        store.go_on()
        store.shutdown()
        serving.join()


def started(*args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*CATALOG, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_the_command_and_the_module_are_one(project):
    script = subprocess.run(
        [Path(sys.executable).with_name("catalog"), "list"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert script.stdout == ran("list").stdout


def test_a_pipe_gets_the_path_and_nothing_else(project):
    code, stdout, stderr = ran("fetch", "customers")

    assert (0, "", True) == (code, stderr, Path(stdout.removesuffix("\n")).is_file())


def test_a_reader_that_goes_away_is_no_trouble(project):
    many = "".join(f"  name{n}: {{source: data/{n}.csv}}\n" for n in range(5000))
    (project / "catalog.yaml").write_text("version: 1\ndatasets:\n" + many)

    done = subprocess.run(
        ["bash", "-c", '"$@" | head -n 1; echo ${PIPESTATUS[0]}', "-", *CATALOG, "list"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    first, code = done.stdout.splitlines()
    assert ("name0", "141", "") == (first.split("\t")[0], code, done.stderr)


@pytest.mark.parametrize("stream", ["1", "2"])
def test_a_closed_stream_is_no_trouble(project, stream):
    done = subprocess.run(
        ["bash", "-c", f'"$@" {stream}>&-', "-", *CATALOG, "fetch", "customers", "gone"],
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert 3 == done.returncode


def test_a_full_disk_behind_the_output_is_told(project):
    done = subprocess.run(
        ["bash", "-c", '"$@" >/dev/full', "-", *CATALOG, "list"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (2, "error: the output cannot be written: No space left on device\n") == (
        done.returncode,
        done.stderr,
    )


def test_colours_and_tables_are_for_terminals(project):
    on_terminal = ran_on_terminal(["list"])

    assert on_terminal.stderr.startswith("\x1b[1mNAME       SOURCE")
    assert "\x1b" not in ran("list").stdout


def test_no_color_is_honoured_on_a_terminal(project):
    shown = ran_on_terminal(["fetch", "nope"], environ={"NO_COLOR": "1"}).stderr

    assert shown.startswith("error: dataset 'nope' is not in the catalog\nhint: ")


def test_a_terminal_sees_progress_and_the_pipe_beside_it_gets_the_path(slow):
    slow.pause_s = 60
    code, stdout, shown = ran_on_terminal(
        ["fetch", "big"], stdout_is_terminal=False, at_sight=("/24.0 MiB", slow.go_on)
    )

    assert (0, BIG) == (code, Path(stdout.removesuffix("\n")).stat().st_size)
    assert "big " in shown
    assert "/24.0 MiB" in shown
    assert shown.rstrip().endswith("\x1b[2K"), "the line is not erased"
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h"), "the cursor stays hidden"


def test_the_path_is_the_last_thing_on_a_terminal(slow):
    slow.pause_s = 60
    shown = ran_on_terminal(["fetch", "big"], at_sight=("/24.0 MiB", slow.go_on)).stderr

    assert shown.removesuffix("\n").rpartition("\x1b[2K")[2].endswith("/big.bin")


@pytest.fixture
def slow_disk(slow, tmp_path):
    """An environment whose disk is slow, and on it the copy of `big`."""
    slow.pause_s = 0
    ran("fetch", "big")
    return environment(Fault(str(tmp_path / "cache" / "v1" / "objects"), Kind.SLOW_READS))


def test_a_terminal_sees_how_far_the_reading_of_a_copy_has_got(slow_disk, tmp_path):
    seen = tmp_path / "seen"
    code, stdout, shown = ran_on_terminal(
        ["verify", "big"],
        stdout_is_terminal=False,
        environ={**slow_disk, "FAULT_UNTIL": str(seen)},
        at_sight=("/24.0 MiB", seen.touch),
    )

    assert (0, "big\tintact\t25165824\n") == (code, stdout)
    assert "big " in shown
    assert "/24.0 MiB" in shown
    assert shown.rstrip().endswith("\x1b[2K"), "the line is not erased"


@pytest.mark.parametrize("options", [["--quiet", "verify", "big"], ["verify", "big", "--json"]])
def test_a_reading_is_not_shown_to_who_is_quiet_or_a_program(slow_disk, options):
    shown = ran_on_terminal(options, stdout_is_terminal=False, environ=slow_disk).stderr

    assert "" == shown


@pytest.mark.parametrize("options", [["--quiet", "fetch", "big"], ["fetch", "big"]])
def test_nothing_is_drawn_for_who_is_quiet_or_in_ci(slow, options):
    environ = {} if "--quiet" in options else {"CI": "true"}

    shown = ran_on_terminal(options, stdout_is_terminal=False, environ=environ).stderr

    assert "" == shown


def test_a_pipe_sees_no_progress(slow):
    assert (0, "") == ran("fetch", "big")[::2]


def test_a_copy_that_is_here_is_served_without_rich(project):
    ran("fetch", "customers")
    code = (
        "import sys; from datacachalog.cli.main import run; "
        "code = run(['fetch', 'customers']); "
        "print(code + 0, [m for m in ('rich', 'boto3', 'obstore', 'httpx') if m in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert "0 []" == done.stdout.splitlines()[-1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_transfer_soon(slow, number, code):
    slow.pause_s = 60
    process = started("fetch", "big")
    slow.wait_for(2)

    done, seconds = interrupted(process, number)

    assert (code, "", "interrupted\n") == done
    assert seconds < 30


def test_a_signal_ends_waiting_for_a_silent_store(slow, project):
    slow.pause_s, slow.is_silent = 60, True
    process = started("fetch", "big")
    slow.wait_for(1)

    done, seconds = interrupted(process)

    assert (130, "", "interrupted\n") == done
    assert seconds < 30


def test_a_signal_ends_a_push(slow, project):
    slow.pause_s, slow.is_silent = 60, True
    (project / "new.bin").write_bytes(b"new")
    process = started("push", "big", "new.bin", "--expect", "any")
    slow.wait_for(1)

    done, seconds = interrupted(process)

    assert (130, "", "interrupted\n") == done
    assert seconds < 30


def test_a_signal_that_was_ignored_before_stays_ignored(slow):
    process = subprocess.Popen(
        ["bash", "-c", 'trap "" INT TERM; exec "$@"', "-", *CATALOG, "fetch", "big"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    slow.wait_for(2)
    process.send_signal(signal.SIGTERM)

    done, _ = interrupted(process)

    assert (0, "") == (done.code, done.stderr)


def test_an_interrupted_transfer_publishes_nothing(slow, project):
    slow.pause_s = 60
    process = started("fetch", "big")
    slow.wait_for(2)
    interrupted(process)

    assert 0 == json.loads(ran("cache", "stats", "--json").stdout)["copies"]
    slow.pause_s = 0
    assert 0 == ran("fetch", "big").code


def test_ctrl_c_on_a_terminal_leaves_it_as_it_was(slow, project):
    slow.pause_s = 60
    script = (
        "import os, pty, signal, sys, threading, time\n"
        "pid, fd = pty.fork()\n"
        "if pid == 0:\n"
        "    os.execv(sys.executable, [sys.executable, '-m', 'datacachalog', 'fetch', 'big'])\n"
        "shown = b''\n"
        "typed = False\n"
        "try:\n"
        "    while block := os.read(fd, 65536):\n"
        "        shown += block\n"
        "        if not typed and b'MiB' in shown:\n"
        "            typed = True\n"
        "            os.write(fd, b'\\x03')\n"
        "except OSError:\n"
        "    pass\n"
        "code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])\n"
        "sys.stdout.write(repr((code, shown.decode())))\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "TERM": "xterm"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    code, shown = eval(done.stdout)  # noqa: S307 - a tuple that this test printed
    assert 130 == code
    assert shown.endswith("interrupted\r\n")
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h"), "the cursor stays hidden"


@pytest.mark.parametrize(("typed", "copies"), [("y\n", 0), ("n\n", 1)])
def test_a_person_is_asked_before_the_cache_is_emptied(project, typed, copies):
    ran("fetch", "customers")

    code, _, shown = ran_on_terminal(["cache", "clear"], typed=typed)

    assert (0, True) == (code, "remove every copy in " in shown)
    assert copies == json.loads(ran("cache", "stats", "--json").stdout)["copies"]


def test_ctrl_d_at_a_question_is_a_no(project):
    ran("fetch", "customers")

    code, _, shown = ran_on_terminal(["cache", "clear"], typed="\x04")

    assert (130, True) == (code, "interrupted" in shown)
    assert 1 == json.loads(ran("cache", "stats", "--json").stdout)["copies"]

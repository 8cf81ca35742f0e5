"""`datlake run`: programs of all kinds are runs, and end as they would without it."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.integration.sdk.typing_commands import SCRIPTS, typed
from tests.servers.processes import HeldPorts

pytestmark = pytest.mark.usefixtures("configured")
DATLAKE = str(SCRIPTS / "datlake")


@pytest.fixture
def job(table):
    """The name of a job that nobody else has."""
    return f"job_{table}"


@pytest.fixture
def run_of(server):
    """The one run of a job, as the registry knows it, once it is what `status` says."""

    def found(job, status=None):
        until = time.monotonic() + 60
        while True:
            lines = server.ask("GET", f"/jobs/{job}/runs")
            if lines and status in {None, lines[0]["status"]}:
                (line,) = lines
                return server.ask("GET", f"/runs/{line['run_id']}")
            assert time.monotonic() < until, lines
            time.sleep(0.05)

    return found


def log_of(server, run):
    (artifact,) = run["artifacts"]
    assert "log" == artifact["type"]
    assert artifact["uri"].endswith(f"/jobs/{run['job_name']}/{run['run_id']}/run.log")
    return Path(artifact["uri"].removeprefix("file://")).read_text()


def started(*args, **more):
    """A command that runs on."""
    return subprocess.Popen(
        [DATLAKE, "run", *args],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **more,
    )


def sh(script):
    return ("--", "sh", "-c", script)


def until(file):
    """What a script does until a file is there."""
    return f"while ! test -e {file}; do sleep 0.05; done"


# --- how it ends


def test_a_program_that_does_well_is_a_run_that_succeeded(server, job, run_of):
    done = typed("run", "--job-name", job, *sh("echo out; echo err >&2"))

    run = run_of(job)
    assert (0, "out\n") == (done.code, done.stdout)
    assert f"run {run['run_id']} of {job}\nerr\n" == done.stderr
    assert ("success", None, {"program": "sh", "exit_code": 0}, 30) == tuple(
        run[one] for one in ("status", "error", "metadata", "heartbeat_interval_s")
    )
    assert {"out", "err"} == set(log_of(server, run).split())


@pytest.mark.parametrize("code", [1, 6, 17, 255])
def test_the_exit_code_is_that_of_the_program(server, job, run_of, code):
    done = typed("run", "--job-name", job, "-q", *sh(f"echo out; exit {code}"))

    run = run_of(job)
    assert (code, "out\n", "") == done
    assert ("failed", f"exit code {code}", code) == (
        run["status"],
        run["error"],
        run["metadata"]["exit_code"],
    )
    assert "out\n" == log_of(server, run)


def test_a_program_that_is_killed_has_failed(job, run_of):
    done = typed("run", "--job-name", job, *sh("kill -KILL $$"))

    run = run_of(job)
    assert (137, True) == (done.code, done.stderr.endswith("killed by SIGKILL\n"))
    assert ("failed", "killed by SIGKILL") == (run["status"], run["error"])


@pytest.mark.parametrize(
    ("made", "code", "told"),
    [(None, 127, "is not there"), ("text", 126, "cannot be run")],
)
def test_what_is_no_program_is_no_run(server, job, tmp_path, made, code, told):
    program = tmp_path / "program"
    if made:
        program.write_text(made)

    done = typed("run", "--job-name", job, "--", str(program))

    assert (code, "", True) == (done.code, done.stdout, f"{str(program)!r} {told}" in done.stderr)
    assert [] == server.ask("GET", f"/jobs/{job}/runs")


def test_a_program_that_the_system_cannot_run_is_a_run_that_failed(job, run_of, tmp_path):
    program = tmp_path / "program"
    program.write_text("#!/none/interpreter\n")
    program.chmod(0o755)

    done = typed("run", "--job-name", job, "-q", "--", str(program))

    assert 127 == done.code
    assert "failed" == run_of(job)["status"]


def test_a_job_has_the_programs_name_unless_it_is_given_another(tmp_path, run_of, table):
    program = tmp_path / f"etl_{table}.sh"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)

    done = typed("run", "-q", str(program), "--json", "-q", "--", "x")

    assert (0, "--json -q -- x\n", "") == done
    assert "success" == run_of(f"etl_{table}.sh")["status"]


# --- what it prints


def test_output_is_shown_as_it_comes(job):
    with started("--job-name", job, "-q", *sh("echo one; read x; echo two; sleep 60")) as process:
        assert "one\n" == process.stdout.readline()
        assert "two\n" == process.stdout.readline()
        process.terminate()


def test_input_is_the_programs():
    assert ["hello"] == typed("run", "-q", "--", "cat", stdin="hello\n").lines()


def test_much_output_of_any_bytes_comes_whole(server, job, run_of):
    script = (
        "import os, sys\n"
        "for n in range(2000):\n"
        "    os.write(1, bytes(range(256)) * 8)\n"
        "    os.write(2, b'e' * 100)\n"
    )
    done = subprocess.run(
        [DATLAKE, "run", "--job-name", job, "-q", "--", sys.executable, "-c", script],
        capture_output=True,
        check=True,
        timeout=60,
    )

    assert bytes(range(256)) * 16_000 == done.stdout
    assert b"e" * 200_000 == done.stderr
    log = Path(run_of(job)["artifacts"][0]["uri"].removeprefix("file://"))
    assert len(done.stdout) + len(done.stderr) == log.stat().st_size


def test_a_program_whose_output_nobody_reads_any_more_is_told_so(job, run_of):
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"{DATLAKE} run --job-name {job} -q -- yes | head -1; echo ${{PIPESTATUS[0]}}",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert "y\n141\n" == done.stdout
    assert "killed by SIGPIPE" == run_of(job)["error"]


def test_a_program_that_leaves_another_one_behind_is_not_waited_for(job, run_of):
    begun = time.monotonic()

    done = typed("run", "--job-name", job, "-q", *sh("echo out; sleep 100 & echo $!"))

    os.kill(int(done.lines()[1]), signal.SIGKILL)
    assert time.monotonic() - begun < 60
    assert "success" == run_of(job)["status"]


def test_a_program_on_a_terminal_is_on_a_terminal(job, server, run_of):
    shown, code = on_terminal(
        [
            "run",
            "--job-name",
            job,
            "-q",
            "--",
            "sh",
            "-c",
            "test -t 1 && test -t 2 && stty size <&1",
        ]
    )

    assert (0, "24 90\r\n") == (code, shown)
    assert "24 90\n" == log_of(server, run_of(job))


def on_terminal(args, keys=b""):
    """What a terminal of 90 columns shows of a command, and its exit code.

    `keys` are typed when it shows the first line.
    """
    child, terminal = pty.fork()
    if child == 0:
        termios.tcsetwinsize(0, (24, 90))
        os.execv(DATLAKE, [DATLAKE, *args])  # noqa: S606 - our own
    shown = b""
    try:
        while block := os.read(terminal, 65536):
            shown += block
            if keys and b"\n" in shown:
                os.write(terminal, keys)
                keys = b""
    except OSError:  # EIO: nobody has it open any more
        pass
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    return shown.decode(), os.waitstatus_to_exitcode(status)


def test_the_log_is_not_kept_where_that_is_not_wanted(job, run_of):
    typed("run", "--job-name", job, "--no-ship-logs", *sh("echo out"))
    assert [] == run_of(job)["artifacts"]

    other = f"{job}-2"
    typed("run", "--job-name", other, *sh("echo out"), DATLAKE_LOG_SHIP="false")
    assert [] == run_of(other)["artifacts"]


def test_a_log_that_cannot_be_written_ends_nothing(job, run_of):
    script = (
        f"ulimit -f 100; exec {DATLAKE} run --job-name {job} -- head -c 300000 /dev/zero | wc -c"
    )
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    assert "300000" == done.stdout.strip()
    assert "the log is cut: File too large" in done.stderr
    assert "success" == run_of(job)["status"]


def test_where_nobody_can_be_told_the_exit_code_stays(job, run_of):
    script = f"{DATLAKE} run --job-name {job} -- sh -c 'exit 4' > /dev/full 2>&1"
    done = subprocess.run(["bash", "-c", script], check=False, timeout=60)

    assert (4, "failed") == (done.returncode, run_of(job)["status"])


# --- signals


NOTED = (
    "import signal, sys, time\n"
    "def noted(number, frame):\n"
    "    print(signal.Signals(number).name, flush=True)\n"
    "    if number != signal.SIGUSR1:\n"
    "        time.sleep(0.5)\n"
    "        sys.exit(3)\n"
    "for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):\n"
    "    signal.signal(one, noted)\n"
    "print('ready', flush=True)\n"
    "while True:\n"
    "    time.sleep(1)\n"
)


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_program_that_is_told_to_end_may_clean_up_and_was_aborted(server, job, run_of, told):
    with started("--job-name", job, "-q", "--", sys.executable, "-c", NOTED) as process:
        assert "ready\n" == process.stdout.readline()
        process.send_signal(signal.SIGUSR1)
        assert "SIGUSR1\n" == process.stdout.readline()
        process.send_signal(told)
        output, _ = process.communicate(timeout=30)

    run = run_of(job)
    assert (3, f"{told.name}\n") == (process.returncode, output)
    assert ("aborted", f"told to end by {told.name}") == (run["status"], run["error"])
    assert f"ready\nSIGUSR1\n{told.name}\n" == log_of(server, run)


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_a_program_that_a_signal_kills_was_aborted(job, run_of, told):
    with started("--job-name", job, "-q", *sh("echo ready; exec sleep 60")) as process:
        assert "ready\n" == process.stdout.readline()
        process.send_signal(told)
        assert 128 + told == process.wait(30)

    assert "aborted" == run_of(job)["status"]


def test_ctrl_c_reaches_the_program_once(job, run_of):
    shown, code = on_terminal(
        ["run", "--job-name", job, "-q", "--", sys.executable, "-c", NOTED], keys=b"\x03"
    )

    assert 3 == code
    assert ["ready", "SIGINT"] == shown.replace("^C", "").split()
    assert "aborted" == run_of(job)["status"]


def test_what_was_ignored_stays_ignored(job, run_of):
    """As `nohup` does with SIGHUP."""
    script = (
        "trap '' HUP; exec " + f"{DATLAKE} run --job-name {job} -q -- sh -c 'echo $PPID; sleep 1'"
    )
    with subprocess.Popen(["bash", "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        os.kill(int(process.stdout.readline()), signal.SIGHUP)
        assert 0 == process.wait(30)

    assert "success" == run_of(job)["status"]


# --- what the program knows of it


def test_the_program_knows_its_run_and_a_run_inside_of_it_has_it_as_its_parent(server, job, run_of):
    inner = f"{job}-inner"
    script = f"{DATLAKE} run -q --job-name {inner} -- env"

    done = typed("run", "-q", "--job-name", job, *sh(script))

    outer, found = run_of(job), run_of(inner)
    told = dict(line.split("=", 1) for line in done.lines() if line.startswith("DATLAKE_"))
    assert outer["run_id"] == found["parent_run_id"] == told["DATLAKE_PARENT_RUN_ID"]
    assert (inner, found["run_id"]) == (told["DATLAKE_JOB_NAME"], told["DATLAKE_RUN_ID"])


# --- a registry that is away


def test_nothing_is_run_that_cannot_be_noted(tmp_path):
    ports = HeldPorts(1)
    (port,) = ports
    file = tmp_path / "ran"
    away = {"DATLAKE_API_URL": f"http://127.0.0.1:{port}", "DATLAKE_SDK_RETRY": "max=0"}

    done = typed("run", "--", "touch", str(file), **away)

    assert (6, False) == (done.code, file.exists())
    assert "no connection can be made" in done.stderr


@pytest.mark.parametrize(
    "environ",
    [
        {"DATLAKE_API_URL": "http://127.0.0.1:9"},
        {"DATLAKE_API_KEY": "dlk_wrong"},
        {"DATLAKE_OFFLINE": "perhaps"},
    ],
)
def test_with_best_effort_it_is_run_unnoted(environ):
    script = 'echo "out $DATLAKE_RUN_ID"; exit 4'

    done = typed("run", "--best-effort", *sh(script), **environ, DATLAKE_SDK_RETRY="max=0")

    assert (4, "out \n") == (done.code, done.stdout)
    assert "warning: the run is not recorded: " in done.stderr


def test_a_registry_that_comes_back_is_told(new_server, job, tmp_path):
    server = new_server()
    environ = {
        **os.environ,
        "DATLAKE_API_URL": server.base_url,
        "DATLAKE_API_KEY": server.admin_key,
    }
    environ["DATLAKE_SDK_RETRY"] = "max=0"
    gone = tmp_path / "gone"
    script = f"echo out; {until(gone)}; exit 5"
    with started("--job-name", job, "--heartbeat", "1", *sh(script), env=environ) as process:
        process.stdout.readline()
        server.kill()
        gone.touch()
        for line in process.stderr:
            if "trying for a minute" in line:
                break
        server.start()
        assert 5 == process.wait(60)

    (line,) = server.ask("GET", f"/jobs/{job}/runs")
    run = server.ask("GET", f"/runs/{line['run_id']}")
    assert ("failed", "exit code 5", 1) == (run["status"], run["error"], len(run["artifacts"]))


def test_a_registry_that_stays_away_costs_no_exit_code(new_server, job, tmp_path):
    server = new_server()
    environ = {
        **os.environ,
        "DATLAKE_API_URL": server.base_url,
        "DATLAKE_API_KEY": server.admin_key,
    }
    environ["DATLAKE_SDK_RETRY"] = "max=0"
    gone = tmp_path / "gone"
    with started(
        "--job-name", job, *sh(f"echo out; {until(gone)}; exit 5"), env=environ
    ) as process:
        process.stdout.readline()
        server.kill()
        gone.touch()
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "trying for a minute" in line:
                process.send_signal(signal.SIGINT)
        assert 5 == process.wait(60)

    assert re.search("interrupted: run .* stays open, until it is taken for lost", lines[-2])


def test_heartbeats_are_sent(job, run_of, tmp_path):
    enough, deadline = tmp_path / "enough", time.monotonic() + 60
    with started("--job-name", job, "-q", "--heartbeat", "1", *sh(until(enough))) as process:
        while (run := run_of(job))["beat_at"] is None and time.monotonic() < deadline:
            time.sleep(0.05)
        enough.touch()
        assert 0 == process.wait(60)

    assert 1 == run["heartbeat_interval_s"]
    assert run["beat_at"] > run["started_at"]


def test_errors_are_told_as_json_only_where_that_is_asked_for():
    done = typed("run", "--", "none-such", "--json")
    assert (127, True) == (done.code, done.stderr.startswith("error: "))

    done = typed("run", "--json", "--", "true")
    assert "no option '--json'" in json.loads(done.stderr)["error"]["message"]


def test_a_log_that_somebody_removed_ends_nothing(job, run_of, tmp_path):
    remove = f"echo out; rm {tmp_path}/datlake-run-*; exit 3"
    done = typed("run", "--job-name", job, *sh(remove), TMPDIR=str(tmp_path))

    assert (3, "out\n") == (done.code, done.stdout), done
    assert "is not kept" in done.stderr
    assert [] == run_of(job, "failed")["artifacts"]


def test_where_no_log_can_be_kept_the_program_runs(job, run_of):
    """As in containers whose disk may not be written."""
    nothing = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0));"
    nothing += " os.execvp(sys.argv[1], sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", nothing, DATLAKE, "run", "--job-name", job, *sh("echo out")],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert (0, "out\n") == (done.returncode, done.stdout), done
    assert "the log is not kept" in done.stderr
    assert [] == run_of(job, "success")["artifacts"]

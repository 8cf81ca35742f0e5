"""`datlake run`: any program as a run of a job."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from datacachalog.adapters.api.settings import origins
from datacachalog.cli import messages
from datacachalog.cli.datlake.client.recording import start, warn
from datacachalog.cli.datlake.client.wrapping import NOT_FOUND, NOT_RUN, Log, wrapped
from datacachalog.cli.exits import UsageError
from datacachalog.domain.errors import DatacachalogError
from datacachalog.sdk.client import DatlakeClient
from datacachalog.sdk.surrounding import surrounding_run

if TYPE_CHECKING:
    from typing import IO

    from datacachalog.cli.datlake.client.recording import RecordedRun
    from datacachalog.cli.datlake.client.wrapping import Ended


@click.command("run", context_settings={"allow_interspersed_args": False})
@click.argument("command", metavar="COMMAND [ARGS]...", nargs=-1, type=click.UNPROCESSED)
@click.option("--job-name", metavar="JOB", help="The job; COMMAND's own name unless given.")
@click.option("--no-ship-logs", is_flag=True, help="Do not upload what it prints.")
@click.option(
    "--heartbeat",
    "interval_s",
    type=click.IntRange(1, 86_400),
    default=30,
    metavar="SECONDS",
    help="How often to say that it is alive; 30 unless given. The run is lost when three of "
    "these do not come.",
)
@click.option(
    "--best-effort", is_flag=True, help="Run COMMAND also where the registry cannot note it."
)
@click.option("--quiet", "-q", is_flag=True, help="Do not say which run it is, and how it ended.")
@click.pass_context
def command(
    ctx: click.Context,
    command: tuple[str, ...],
    job_name: str | None,
    interval_s: int,
    *,
    no_ship_logs: bool,
    best_effort: bool,
    quiet: bool,
) -> None:
    """Run a program as a run of a job.

    As in `datlake run -- COMMAND ARGS…`. The registry is told when it begins, that it is alive, and
    how it ended. What it prints is shown as it comes, uploaded as the run's log, and linked to it.
    Its exit code is that of this command, whatever the registry does.
    """
    if (code := _why_not(command)) is not None:
        ctx.exit(code)
    run: RecordedRun | None = None
    try:
        run, ships = _begun(command[0], job_name, interval_s)
    except DatacachalogError as error:
        if not best_effort:
            raise
        warn(f"the run is not recorded: {error}")
    if run is not None and not quiet:
        _say(f"run {run.run.run_id} of {run.run.job_name}")
    ended = _done(command, run, ships=run is not None and ships and not no_ship_logs)
    if ended.reason is not None and not quiet:
        _say(ended.reason)
    ctx.exit(ended.code)


def _say(message: str) -> None:
    with suppress(OSError):  # as `warn` does
        messages.say(message)


def _why_not(command: tuple[str, ...]) -> int | None:
    """The exit code that a shell has for it where there is no such program; None where there is."""
    if not command:
        raise UsageError("no program is named", "it stands at the end: 'datlake run -- COMMAND'")
    if shutil.which(command[0]) is not None:
        return None
    is_there = os.sep in command[0] and Path(command[0]).exists()
    told = "cannot be run" if is_there else "is not there"
    messages.tell(UsageError(f"the program {command[0]!r} {told}"), as_json=False)
    return NOT_RUN if is_there else NOT_FOUND


def _begun(program: str, job_name: str | None, interval_s: int) -> tuple[RecordedRun, bool]:
    """The run, and whether its log is wanted: unless a setting says otherwise."""
    client, around = DatlakeClient(), surrounding_run(os.environ)
    ships = client.settings.log_ship or "log_ship" not in origins(os.environ)
    name = Path(program).name
    parent = None if around is None else around.run_id
    return start(client, job_name or name, name, interval_s, parent), ships


def _log_file(stack: ExitStack) -> IO[bytes] | None:
    """Where the log is kept until it is uploaded; None where nothing can be written."""
    try:
        handle, name = tempfile.mkstemp(prefix="datlake-run-")
    except OSError as error:
        warn(f"the log is not kept: {error.strerror}")
        return None
    os.close(handle)
    stack.callback(Path(name).unlink, missing_ok=True)  # who cleans up may have been here before
    return stack.enter_context(Path(name).open("wb"))


def _done(command: tuple[str, ...], run: RecordedRun | None, *, ships: bool) -> Ended:
    signal.set_wakeup_fd(-1)  # what ends other commands is passed on to the program
    environ = dict(os.environ) | ({} if run is None else run.run.variables())
    with ExitStack() as stack:
        file = _log_file(stack) if ships else None
        log = Log(file)
        ended = wrapped(command, environ, log)
        if log.failure is not None:
            warn(f"the log is cut: {log.failure.strerror}")
        if run is not None:
            run.end(ended, None if file is None else Path(file.name))
    return ended

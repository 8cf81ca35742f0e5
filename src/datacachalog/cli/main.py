"""The commands' entry points, and the only place where errors become exit codes."""

from __future__ import annotations

import codecs
import contextlib
import importlib
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from datacachalog.cli import messages
from datacachalog.cli.app import app
from datacachalog.cli.exits import ExitCode, UsageError, exit_code
from datacachalog.cli.interrupts import bound_interrupts, exit_code_of
from datacachalog.cli.output import output_errors
from datacachalog.domain.errors import DatacachalogError

if TYPE_CHECKING:
    from collections.abc import Sequence

# By which click's completion scripts ask.
_COMPLETIONS = {"catalog": "_CATALOG_COMPLETE", "datlake": "_DATLAKE_COMPLETE"}


def main() -> NoReturn:
    """Runs the `catalog` command of this process, and ends the process with its exit code."""
    bound_interrupts()
    sys.exit(run(sys.argv[1:]))


def datlake() -> NoReturn:
    """Runs the `datlake` command of this process, and ends the process with its exit code."""
    # By name: `catalog` needs none of it.
    found = importlib.import_module("datacachalog.cli.datlake_app").app
    sys.exit(run(sys.argv[1:], found))


def run(args: Sequence[str], command: click.Group = app) -> ExitCode:
    """Runs one command, tells of its error on standard error, and returns the exit code.

    >>> run(["fetch"]).name
    'USAGE'
    """
    as_json = "--json" in args  # looked for, not parsed: what is wrong may come before it
    try:
        _prepare_streams()
        code = _invoke(list(args), command)
        with output_errors():
            sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        return ExitCode.PIPE_CLOSED
    except (KeyboardInterrupt, click.Abort) as interrupt:
        messages.interrupted(as_json=as_json)
        return exit_code_of(interrupt)
    except Exception as error:  # noqa: BLE001 - the boundary
        return _tell(error, as_json=as_json)
    return code


def _invoke(args: list[str], command: click.Group) -> ExitCode:
    name = "catalog" if command is app else str(command.name)
    if _COMPLETIONS[name] in os.environ:
        command.main(args, prog_name=name)
    try:
        with command.make_context(name, args) as context:
            command.invoke(context)
    except click.exceptions.Exit as end:
        return ExitCode(end.exit_code)
    except click.ClickException as error:
        raise _as_usage_error(error) from error
    return ExitCode.DONE


def _as_usage_error(error: click.ClickException) -> UsageError:
    """What click says, as we say it."""
    context = getattr(error, "ctx", None)
    command = "catalog" if context is None else context.command_path
    hint = f"'{command} --help' shows what there is"
    if isinstance(error, click.NoSuchOption):
        close = sorted(error.possibilities or ())
        if context is not None and context.parent and _is_global(error.option_name, context):
            hint = f"it stands before the command: 'catalog {error.option_name} …'"
            return UsageError(f"there is no option {error.option_name!r} here", hint)
        hint = f"did you mean {' or '.join(map(repr, close))}?" if close else hint
        return UsageError(f"there is no option {error.option_name!r}", hint)
    text = error.format_message().rstrip(".")
    return UsageError(text[:1].lower() + text[1:], hint)


def _is_global(option: str, context: click.Context) -> bool:
    """Whether `catalog` itself has that option, so that whoever gave it elsewhere is told where."""
    return any(option in one.opts for one in context.find_root().command.params)


def _tell(error: Exception, *, as_json: bool) -> ExitCode:
    _flush_or_drop()  # what was printed before the error comes before it
    if isinstance(error, DatacachalogError):
        messages.tell(error, as_json=as_json)
        return exit_code(error)
    messages.confess(error, as_json=as_json)
    return ExitCode.BUG


def _prepare_streams() -> None:
    """Has closed streams swallow what is written, and bytes in a path be written as they are."""
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - for the whole process
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115 - likewise
    if isinstance(sys.stdout, TextIOWrapper):
        # Paths come out as the bytes that they are, whatever encoding the terminal asks for.
        codecs.register_error("datacachalog", _as_bytes_or_spelled)
        sys.stdout.reconfigure(encoding=sys.getfilesystemencoding(), errors="datacachalog")


def _as_bytes_or_spelled(error: UnicodeError) -> tuple[str | bytes, int]:
    for name in ("surrogateescape", "backslashreplace"):
        with contextlib.suppress(UnicodeError):
            return codecs.lookup_error(name)(error)
    raise error


def _flush_or_drop() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        _drop_output()


def _drop_output() -> None:
    """Has nobody's output go nowhere, so that Python does not complain of it when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)

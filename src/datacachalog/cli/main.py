"""The commands' entry points, and the only place where errors become exit codes."""

from __future__ import annotations

import codecs
import contextlib
import importlib
import os
import sys
from io import TextIOWrapper
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from datacachalog.cli import messages
from datacachalog.cli.app import app
from datacachalog.cli.exits import ExitCode, UsageError, exit_code
from datacachalog.cli.interrupts import bound_interrupts, exit_code_of, noted
from datacachalog.cli.output import output_errors
from datacachalog.domain.errors import DatacachalogError

if TYPE_CHECKING:
    from collections.abc import Sequence

# By which click's completion scripts ask, by the name of the command.
_COMPLETIONS = {
    "catalog": "_CATALOG_COMPLETE",
    "datlake": "_DATLAKE_COMPLETE",
    "datalake-cli": "_DATALAKE_CLI_COMPLETE",
}


def main() -> NoReturn:
    """Runs the `catalog` command of this process, and ends the process with its exit code."""
    bound_interrupts()
    sys.exit(run(sys.argv[1:]))


def datlake() -> NoReturn:
    """Runs the `datlake` command of this process, and ends the process with its exit code.

    It is `datalake-cli` too, and speaks of itself as it was called.
    """
    # By name: `catalog` needs none of it.
    found = importlib.import_module("datacachalog.cli.datlake_app").app
    called = Path(sys.argv[0]).name
    sys.exit(run(sys.argv[1:], found, called if called in _COMPLETIONS else "datlake"))


def run(args: Sequence[str], command: click.Group = app, name: str | None = None) -> int:
    """Runs one command, tells of its error on standard error, and returns the exit code.

    `name` is the command's own unless given. The code is an `ExitCode`, but where it is that of
    another program.

    >>> run(["fetch"])
    <ExitCode.USAGE: 2>
    """
    # Looked for, not parsed: what is wrong may come before it. After `--`, it is another program's.
    as_json = "--json" in takewhile(lambda one: one != "--", args)
    name = name or ("catalog" if command is app else str(command.name))
    try:
        _prepare_streams()
        code = _invoke(list(args), command, name)
        with output_errors():
            sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        return ExitCode.PIPE_CLOSED
    except (KeyboardInterrupt, click.Abort) as interrupt:
        messages.interrupted(as_json=as_json)
        noted()
        return exit_code_of(interrupt)
    except Exception as error:  # noqa: BLE001 - the boundary
        return _tell(error, name, as_json=as_json)
    return code


def _invoke(args: list[str], command: click.Group, name: str) -> int:
    if _COMPLETIONS[name] in os.environ:
        command.main(args, prog_name=name)
    try:
        with command.make_context(name, args) as context:
            command.invoke(context)
    except click.exceptions.Exit as end:
        return _as_exit_code(end.exit_code)
    except click.ClickException as error:
        raise _as_usage_error(error) from error
    return ExitCode.DONE


def _as_exit_code(code: int) -> int:
    return ExitCode(code) if code in set(ExitCode) else code


def _as_usage_error(error: click.ClickException) -> UsageError:
    """What click says, as we say it."""
    context = getattr(error, "ctx", None)
    command = "catalog" if context is None else context.command_path
    hint = f"'{command} --help' shows what there is"
    if isinstance(error, click.NoSuchOption):
        close = sorted(error.possibilities or ())
        if context is not None and context.parent and _is_global(error.option_name, context):
            name = context.find_root().command_path
            hint = f"it stands before the command: '{name} {error.option_name} …'"
            return UsageError(f"there is no option {error.option_name!r} here", hint)
        hint = f"did you mean {' or '.join(map(repr, close))}?" if close else hint
        return UsageError(f"there is no option {error.option_name!r}", hint)
    text = error.format_message().replace(",\n\t", ", ").replace("\n\t", " ").rstrip(".")
    return UsageError(text[:1].lower() + text[1:], hint)


def _is_global(option: str, context: click.Context) -> bool:
    """Whether the first command has that option, so that who gave it elsewhere is told where."""
    return any(option in one.opts for one in context.find_root().command.params)


def _tell(error: Exception, name: str, *, as_json: bool) -> ExitCode:
    _flush_or_drop()  # what was printed before the error comes before it
    if isinstance(error, DatacachalogError):
        messages.tell(error, as_json=as_json, called=name)
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

"""The command line's shape: the global options, and which module has which command.

A command's module is imported when the command is chosen, or when all of them are to be listed.
Otherwise `catalog fetch` would pay for `catalog doctor`.
"""

from __future__ import annotations

import difflib
import json
from importlib import import_module
from pathlib import Path
from typing import Final, cast

import click

from datacachalog.cli.exits import ExitCode, UsageError
from datacachalog.cli.options import GlobalOptions, json_option

_COMMANDS: Final = (
    "init",
    "list",
    "show",
    "fetch",
    "push",
    "status",
    "why",
    "plan",
    "versions",
    "lock",
    "invalidate",
    "verify",
    "gc",
    "cache",
    "doctor",
)

_EPILOG: Final = (
    "Completion of commands and names: put this line into ~/.bashrc, or the same with zsh_source "
    "into ~/.zshrc:\n\n"
    '\b\n  eval "$(_CATALOG_COMPLETE=bash_source catalog)"'  # \b: a line to copy is not wrapped
)


class CommandsByName(click.Group):
    """A group whose commands are modules of `datacachalog.cli.commands`, each with a `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - likewise
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"datacachalog.cli.commands.{cmd_name}")
        return cast("click.Command", module.command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _COMMANDS and not ctx.resilient_parsing:  # as when the shell completes
            close = difflib.get_close_matches(args[0], _COMMANDS, n=1)
            hint = f"did you mean {close[0]!r}?" if close else "'catalog --help' lists the commands"
            raise UsageError(f"there is no command {args[0]!r}", hint)
        return super().resolve_command(ctx, args)


def _print_version(*, as_json: bool) -> None:
    found = import_module("importlib.metadata").version("datacachalog")  # by name: it takes 20 ms
    click.echo(json.dumps({"version": found}, indent=2) if as_json else f"catalog {found}")


@click.group(
    cls=CommandsByName,
    invoke_without_command=True,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--catalog",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="A catalog.yaml or its folder, instead of the nearest one from here upward. "
    "DATACACHALOG_CATALOG says the same.",
)
@click.option(
    "--cache-dir",
    # Text: as a Path, an unset variable is the current folder. That it cannot be read is told by
    # the cache.
    type=click.Path(readable=False),
    metavar="PATH",
    help="Where copies are kept. DATACACHALOG_CACHE_DIR says the same.",
)
@json_option
@click.option(
    "--quiet", "-q", is_flag=True, help="No progress and no notices, only warnings and errors."
)
@click.option("--version", is_flag=True, help="Print the version.")
@click.pass_context
def app(
    ctx: click.Context,
    *,
    catalog: Path | None,
    cache_dir: str | None,
    as_json: bool,
    quiet: bool,
    version: bool,
) -> None:
    """Name a dataset once, get a verified local path anywhere."""
    if version:
        _print_version(as_json=as_json)
        ctx.exit()
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(ExitCode.USAGE)
    ctx.obj = GlobalOptions(catalog, cache_dir, as_json, quiet)

"""The `datlake` command's shape: what asks a registry, and what runs one.

A command's module is imported when the command is chosen, or when all of them are to be listed.
What asks a registry needs neither its libraries nor its settings.
"""

from __future__ import annotations

import difflib
import os
from importlib import import_module
from pathlib import Path
from typing import Final, cast

import click

from datacachalog.cli.exits import ExitCode, UsageError

ASKING: Final = {
    "get-uri": "client.tables:get_uri",
    "tables": "client.tables:tables",
    "snapshots": "client.tables:snapshots",
    "lineage": "client.tables:lineage",
    "register-snapshot": "client.registering:register_snapshot",
    "job": "client.registering:job",
    "upload": "client.objects:upload",
    "download": "client.objects:download",
    "run": "client.run:command",
    "runs": "client.runs:runs",
    "show-run": "client.runs:show_run",
    "events": "client.events:command",
    "whoami": "client.whoami:command",
    "config": "client.config:group",
    "cache": "client.cache:group",
}
"""The commands that ask a registry, and where they are."""
_RUNNING: Final = {
    "serve": "serving:serve",
    "worker": "serving:worker",
    "policy": "serving:policy",
    "key": "keys:group",
    "principal": "principals:principal",
    "role": "principals:role",
    "grant": "grants:grant",
    "grants": "grants:grants",
    "location": "locations:group",
    "audit": "audit:command",
    "migrate": "operations:migrate",
    "doctor": "operations:doctor",
}
_COMMANDS: Final = ASKING | _RUNNING

_EPILOG: Final = (
    "Completion of commands and tables: put this line into ~/.bashrc, or the same with zsh_source "
    "into ~/.zshrc:\n\n"
    '\b\n  eval "$(_DATLAKE_COMPLETE=bash_source datlake)"\n\n'
    "`datalake-cli` is the same command, and completed likewise with _DATALAKE_CLI_COMPLETE."
)


class Commands(click.Group):
    """A group whose commands are in modules of `datacachalog.cli.datlake`, shown in two lists."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - likewise
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        found = import_module(f"datacachalog.cli.datlake.{module}")
        return cast("click.Command", getattr(found, name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _COMMANDS and not ctx.resilient_parsing:  # as when the shell completes
            close = difflib.get_close_matches(args[0], _COMMANDS, n=1)
            hint = f"'{ctx.info_name} --help' lists the commands"
            hint = f"did you mean {close[0]!r}?" if close else hint
            raise UsageError(f"there is no command {args[0]!r}", hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        limit = formatter.width - 6 - max(map(len, _COMMANDS))
        for heading, names in (("Ask a registry", ASKING), ("Run a registry", _RUNNING)):
            found = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(heading):
                formatter.write_dl(
                    [(name, one.get_short_help_str(limit)) for name, one in found if one]
                )


@click.group(
    "datlake",
    cls=Commands,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--url",
    metavar="URL",
    help="The registry to ask. DATLAKE_API_URL says the same.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The settings of who asks, instead of ~/.datlake/config.ini. "
    "DATLAKE_CONFIG says the same.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Who runs one: where its database and uploaded objects are. "
    "DATLAKE_SERVER_DATA_DIR says the same.",
)
@click.option(
    "--database-url",
    metavar="URL",
    help="Who runs one: postgresql://…, or sqlite:///… . "
    "DATLAKE_SERVER_DATABASE_URL says the same.",
)
@click.pass_context
def app(
    ctx: click.Context,
    *,
    url: str | None,
    config: Path | None,
    data_dir: Path | None,
    database_url: str | None,
) -> None:
    """The registry of tables and snapshots."""
    if ctx.invoked_subcommand is None:
        ctx.exit(ExitCode.USAGE)
    command = ctx.invoked_subcommand
    if command in ASKING:
        _refuse(
            command, "asks a registry by its address", data_dir=data_dir, database_url=database_url
        )
        name_registry(url, config)
    else:
        _refuse(command, "works on the registry's own database", url=url, config=config)
    given = {"data_dir": data_dir, "database_url": database_url}
    ctx.obj = {name: value for name, value in given.items() if value is not None}


def name_registry(url: str | None, config: Path | None) -> None:
    """Has what was said before the command be known as the variables are.

    So a program that `datlake run` starts asks the same registry.
    """
    if url is not None:
        os.environ["DATLAKE_API_URL"] = url
    if config is not None:
        os.environ["DATLAKE_CONFIG"] = str(config.absolute())


def _refuse(command: str, why: str, **options: object) -> None:
    for name, value in options.items():
        if value is not None:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{command!r} {why}: {option} is not for it", "leave it out")

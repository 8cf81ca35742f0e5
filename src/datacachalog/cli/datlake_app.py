"""The `datlake` command: the registry's server, its workers, and who may do what."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from datacachalog.cli.exits import ExitCode, UsageError

if TYPE_CHECKING:
    from datacachalog.server.settings import ServerSettings

_PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "MANAGE")


@click.group("datlake", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Where the database and uploaded objects are. DATLAKE_SERVER_DATA_DIR says the same.",
)
@click.option(
    "--database-url",
    metavar="URL",
    help="postgresql://…, or sqlite:///… . DATLAKE_SERVER_DATABASE_URL says the same.",
)
@click.pass_context
def app(ctx: click.Context, *, data_dir: Path | None, database_url: str | None) -> None:
    """The registry of tables and snapshots."""
    if ctx.invoked_subcommand is None:
        ctx.exit(ExitCode.USAGE)
    given = {"data_dir": data_dir, "database_url": database_url}
    ctx.obj = {name: value for name, value in given.items() if value is not None}


@app.command("serve")
@click.option("--host", help="The address to listen on; 127.0.0.1 unless given.")
@click.option("--port", type=int, help="The port; 8000 unless given.")
@click.option("--no-worker", is_flag=True, help="Leave the work to `datlake worker`.")
@click.pass_obj
def serve(given: dict[str, Any], host: str | None, port: int | None, *, no_worker: bool) -> None:
    """Serve the API, with workers beside it.

    The first start makes an administrator, and prints its key to standard error, once.
    """
    wanted = {"host": host, "port": port, "worker": False if no_worker else None}
    _server("serve").serve(_settings(given, **wanted))


@app.command("worker")
@click.pass_obj
def worker(given: dict[str, Any]) -> None:
    """Do the work that the API was asked for, until stopped."""
    _server("serve").work(_settings(given))


@app.group("key")
def key() -> None:
    """API keys."""


@key.command("create")
@click.argument("principal")
@click.option("--name", default="", help="What the key is for.")
@click.option(
    "--only",
    type=click.Choice(_PRIVILEGES),
    multiple=True,
    help="What the key may do at most; all that its principal may, unless given.",
)
@click.pass_obj
def create_key(given: dict[str, Any], principal: str, name: str, only: tuple[str, ...]) -> None:
    """Make a key for PRINCIPAL, who is made too if need be, and print it: it is shown only now."""
    click.echo(_server("administration").new_key(_settings(given), principal, name, only))


@app.command("grant")
@click.argument("privilege", type=click.Choice(_PRIVILEGES))
@click.argument("thing")
@click.option("--to", "principal", required=True, help="Whom.")
@click.pass_obj
def grant(given: dict[str, Any], privilege: str, thing: str, principal: str) -> None:
    """Grant a privilege on THING: catalog, namespace:NAME, table:NAME or location:URI."""
    _server("administration").grant(_settings(given), privilege, thing, principal)


@app.group("location")
def location() -> None:
    """Where the objects of tables may be."""


@location.command("add")
@click.argument("uri")
@click.option("--endpoint-url", help="The URL of the S3 server; AWS unless given.")
@click.option("--region", help="Its region.")
@click.pass_obj
def add_location(
    given: dict[str, Any], uri: str, endpoint_url: str | None, region: str | None
) -> None:
    """Let tables have objects below URI: s3://bucket/prefix/ or file:///folder/."""
    options = {"endpoint_url": endpoint_url, "region": region}
    told = {name: value for name, value in options.items() if value is not None}
    _server("administration").add_location(_settings(given), uri, told)


def _settings(given: dict[str, Any], **more: Any) -> ServerSettings:
    wanted = given | {name: value for name, value in more.items() if value is not None}
    found: ServerSettings = _server("settings").ServerSettings(**wanted)
    return found


def _server(module: str) -> Any:
    """A module of the server, whose libraries are an extra.

    Raises:
        UsageError: they are not installed.
    """
    try:
        return importlib.import_module(f"datacachalog.server.{module}")
    except ModuleNotFoundError as error:
        told = f"the registry needs {error.name}, which is not installed"
        raise UsageError(told, "pip install 'datacachalog[server]'") from error

"""`datlake serve`, `worker` and `policy`: the registry itself."""

from __future__ import annotations

from typing import Any

import click

from datacachalog.cli.datlake.server import administration, server, settings_of


@click.command("serve")
@click.option("--host", help="The address to listen on; 127.0.0.1 unless given.")
@click.option("--port", type=int, help="The port; 8000 unless given.")
@click.option("--no-worker", is_flag=True, help="Leave the work to `datlake worker`.")
@click.pass_obj
def serve(given: dict[str, Any], host: str | None, port: int | None, *, no_worker: bool) -> None:
    """Serve the API, with workers beside it.

    The first start makes an administrator, and prints its key to standard error, once.
    """
    wanted = {"host": host, "port": port, "worker": False if no_worker else None}
    server("serve").serve(settings_of(given, **wanted))


@click.command("worker")
@click.pass_obj
def worker(given: dict[str, Any]) -> None:
    """Do the work that the API was asked for, until stopped."""
    server("serve").work(settings_of(given))


@click.command("policy")
@click.argument("table")
@click.argument("policy", type=click.Choice(["none", "additive", "strict"]))
@click.pass_obj
def policy(given: dict[str, Any], table: str, policy: str) -> None:
    """Say what a new snapshot of TABLE may change of its schema.

    Anything; only new columns that may be null, as at first; or nothing.
    """
    administration().set_policy(settings_of(given), table, policy)

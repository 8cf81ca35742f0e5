"""`datlake cache`: what a registry has told, and is kept on this machine."""

from __future__ import annotations

from dataclasses import asdict

import click

from datacachalog.cli.datlake.client.asking import Asking, tables_offered
from datacachalog.cli.options import json_option
from datacachalog.cli.output import Size
from datacachalog.domain.words import size


@click.group("cache", no_args_is_help=False)
def group() -> None:
    """Show or empty what is kept of a registry's answers."""


@group.command("stats")
@json_option
def stats(*, as_json: bool) -> None:
    """Show where it is, and how much there is."""
    asking = Asking.of(as_json=as_json)
    cache = asking.client().cache
    held = cache.held()
    asking.out.facts(
        [
            ("dir", str(cache.folder)),
            ("snapshots", str(held.snapshots)),
            ("samples", str(held.samples)),
            ("size", Size(held.size_bytes)),
        ],
        {"dir": str(cache.folder), **asdict(held)},
    )


@group.command("clear")
@click.argument("table", metavar="[TABLE]", required=False, shell_complete=tables_offered)
@json_option
def clear(table: str | None, *, as_json: bool) -> None:
    """Remove what is kept of TABLE at this registry, or all there is."""
    asking = Asking.of(as_json=as_json)
    client = asking.client()
    if table is not None:
        _ = client.transport.base_url  # which registry's table
    cache = client.cache
    held = cache.clear(table)
    asking.out.lines([], {"dir": str(cache.folder), "freed_bytes": held.size_bytes})
    asking.say(f"freed {size(held.size_bytes)}")

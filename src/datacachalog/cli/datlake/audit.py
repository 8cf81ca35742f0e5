"""`datlake audit`: what was done, by whom."""

from __future__ import annotations

import json
from typing import Any

import click

from datacachalog.cli.datlake.server import administration, settings_of, show
from datacachalog.cli.options import json_option


@click.command("audit")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=50, help="How many lines; 50 unless given."
)
@click.option("--principal", help="Only what PRINCIPAL did.")
@click.option("--action", help="Only this action, such as make-grant.")
@click.option("--on", "thing", help="Only what was done to this, such as table:sales.")
@json_option
@click.pass_obj
def command(
    given: dict[str, Any],
    limit: int,
    principal: str | None,
    action: str | None,
    thing: str | None,
    *,
    as_json: bool,
) -> None:
    """Show what was done, the latest first."""
    found = administration().list_audit(settings_of(given), limit, principal, action, thing)
    show(
        ("WHEN", "WHO", "ACTION", "ON", "DETAIL"),
        found,
        lambda one: (
            one.at,
            one.principal or "command line",
            one.action,
            one.object,
            json.dumps(one.detail) if one.detail else "",
        ),
        as_json=as_json,
    )

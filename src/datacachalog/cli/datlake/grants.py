"""`datlake grant` and `datlake grants`: who may do what."""

from __future__ import annotations

from typing import Any

import click

from datacachalog.cli.datlake.server import PRIVILEGES, administration, settings_of, show
from datacachalog.cli.options import json_option


@click.command("grant")
@click.argument("privilege", type=click.Choice(PRIVILEGES))
@click.argument("thing")
@click.option("--to", "principal", required=True, help="Whom: a principal, or role:NAME.")
@click.pass_obj
def grant(given: dict[str, Any], privilege: str, thing: str, principal: str) -> None:
    """Grant a privilege on THING: catalog, namespace:NAME, table:NAME or location:URI."""
    administration().grant(settings_of(given), privilege, thing, principal)


@click.group("grants")
def grants() -> None:
    """The grants that there are."""


@grants.command("list")
@click.option("--to", help="Those to a principal, or to role:NAME.")
@click.option("--on", help="Those on catalog, namespace:NAME, table:NAME or location:URI.")
@json_option
@click.pass_obj
def list_grants(given: dict[str, Any], to: str | None, on: str | None, *, as_json: bool) -> None:
    """List the grants, in the order in which they were made."""
    found = administration().list_grants(settings_of(given), to, on)
    show(
        ("GRANT", "PRIVILEGE", "TO", "CREATED", "ON"),
        found,
        lambda one: (one.id, one.privilege.value, one.to, one.created_at, one.on),
        as_json=as_json,
    )


@grants.command("revoke")
@click.argument("grant_id")
@click.pass_obj
def revoke(given: dict[str, Any], grant_id: str) -> None:
    """Take a grant back; `datlake grants list` has its GRANT_ID."""
    administration().revoke_grant(settings_of(given), grant_id)

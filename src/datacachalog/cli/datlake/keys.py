"""`datlake key`: API keys."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from datacachalog.cli.datlake.server import PRIVILEGES, administration, settings_of, show
from datacachalog.cli.options import Parsed, json_option
from datacachalog.cli.output import Painted
from datacachalog.domain.freshness import parse_duration

if TYPE_CHECKING:
    from datetime import timedelta

    from datacachalog.cli.output import Cell


@click.group("key")
def group() -> None:
    """API keys."""


@group.command("create")
@click.argument("principal")
@click.option("--name", default="", help="What the key is for.")
@click.option(
    "--only",
    type=click.Choice(PRIVILEGES),
    multiple=True,
    help="What the key may do at most; all that its principal may, unless given.",
)
@click.option("--lives", type=Parsed("TIME", parse_duration), help="How long, such as 90d.")
@json_option
@click.pass_obj
def create(
    given: dict[str, Any],
    principal: str,
    name: str,
    only: tuple[str, ...],
    lives: timedelta | None,
    *,
    as_json: bool,
) -> None:
    """Make a key for PRINCIPAL, who is made too if need be, and print it: it is shown only now."""
    made = administration().new_key(settings_of(given), principal, name, only, lives)
    click.echo(json.dumps(made.model_dump(mode="json"), indent=2) if as_json else made.key)


@group.command("list")
@click.argument("principal", required=False)
@json_option
@click.pass_obj
def list_keys(given: dict[str, Any], principal: str | None, *, as_json: bool) -> None:
    """List the keys, or those of PRINCIPAL; never what is secret of them."""
    found = administration().list_keys(settings_of(given), principal)
    header = ("KEY", "PRINCIPAL", "STATE", "ONLY", "CREATED", "EXPIRES", "NAME")
    show(header, sorted(found, key=lambda one: one.created_at), _row, as_json=as_json)


@group.command("revoke")
@click.argument("key_id")
@click.pass_obj
def revoke(given: dict[str, Any], key_id: str) -> None:
    """Have a key be valid no more; KEY_ID is what it has between its first two underscores."""
    administration().revoke_key(settings_of(given), key_id)


def _row(key: Any) -> tuple[Cell, ...]:
    if key.revoked_at is not None:
        state = Painted("revoked", "red")
    elif key.expires_at is not None and key.expires_at <= datetime.now(UTC):
        state = Painted("expired", "yellow")
    else:
        state = Painted("valid", "green")
    ends = "" if key.expires_at is None else f"{key.expires_at:%Y-%m-%dT%H:%M:%SZ}"
    only = ",".join(key.privileges or ())
    return key.id, key.principal, state, only, key.created_at, ends, key.name

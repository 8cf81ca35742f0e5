"""`datlake principal` and `datlake role`: who calls, and what they have in common."""

from __future__ import annotations

from typing import Any

import click

from datacachalog.cli.datlake.server import administration, settings_of, show
from datacachalog.cli.options import json_option
from datacachalog.cli.output import Painted


@click.group("principal")
def principal() -> None:
    """Principals: people and programs that call."""


@principal.command("list")
@json_option
@click.pass_obj
def list_principals(given: dict[str, Any], *, as_json: bool) -> None:
    """List the principals."""
    found = administration().list_principals(settings_of(given))
    header = ("NAME", "KIND", "STATE", "CREATED")
    show(
        header,
        found,
        lambda one: (
            one.name,
            one.kind,
            Painted("disabled", "red") if one.disabled_at else Painted("active", "green"),
            one.created_at,
        ),
        as_json=as_json,
    )


@principal.command("disable")
@click.argument("name")
@click.pass_obj
def disable(given: dict[str, Any], name: str) -> None:
    """Have nobody call as NAME any more, with whatever key or token."""
    administration().disable_principal(settings_of(given), name, is_disabled=True)


@principal.command("enable")
@click.argument("name")
@click.pass_obj
def enable(given: dict[str, Any], name: str) -> None:
    """Have NAME call again."""
    administration().disable_principal(settings_of(given), name, is_disabled=False)


@click.group("role")
def role() -> None:
    """Roles, which principals have, and which are granted to as these are."""


@role.command("list")
@json_option
@click.pass_obj
def list_roles(given: dict[str, Any], *, as_json: bool) -> None:
    """List the roles, and who has each."""
    found = administration().list_roles(settings_of(given))
    show(
        ("NAME", "CREATED", "MEMBERS"),
        found,
        lambda one: (one.name, one.created_at, ", ".join(one.members)),
        as_json=as_json,
    )


@role.command("create")
@click.argument("name")
@click.pass_obj
def create_role(given: dict[str, Any], name: str) -> None:
    """Make the role NAME, which nobody has."""
    administration().make_role(settings_of(given), name)


@role.command("add")
@click.argument("name")
@click.argument("member")
@click.pass_obj
def add_member(given: dict[str, Any], name: str, member: str) -> None:
    """Give the role NAME, made if need be, to MEMBER: a principal, or role:NAME."""
    administration().add_to_role(settings_of(given), name, member)


@role.command("remove")
@click.argument("name")
@click.argument("member")
@click.pass_obj
def remove_member(given: dict[str, Any], name: str, member: str) -> None:
    """Take the role NAME from MEMBER: a principal, or role:NAME."""
    administration().remove_from_role(settings_of(given), name, member)


@role.command("delete")
@click.argument("name")
@click.pass_obj
def delete_role(given: dict[str, Any], name: str) -> None:
    """Erase the role NAME, with all that it was granted."""
    administration().delete_role(settings_of(given), name)

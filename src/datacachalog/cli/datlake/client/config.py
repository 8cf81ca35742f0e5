"""`datlake config`: the settings of who asks a registry, and the file that keeps them."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any

import click

from datacachalog.adapters.api.config_file import change
from datacachalog.adapters.api.settings import (
    VARIABLES,
    ApiSettings,
    checked,
    config_file,
    origins,
)
from datacachalog.cli.datlake.client.asking import Asking
from datacachalog.cli.exits import UsageError
from datacachalog.cli.options import json_option

if TYPE_CHECKING:
    from datacachalog.cli.output import JsonValue

_SECRET = "api_key"  # noqa: S105 - its name


@click.group("config", invoke_without_command=True)
@json_option
@click.pass_context
def group(ctx: click.Context, *, as_json: bool) -> None:
    """Show the settings that hold, or change the file.

    They are shown with where each of them comes from. Of a key only its id is shown.
    """
    if ctx.invoked_subcommand is None:
        _show(Asking.of(as_json=as_json))


@group.command("set")
@click.argument("name", type=click.Choice(list(VARIABLES)), metavar="NAME")
@click.argument("value", metavar="[VALUE]", required=False)
def set_one(name: str, value: str | None) -> None:
    """Keep a setting in the file, for its owner's eyes only.

    Without VALUE, or where it is `-`, it is asked for, or read from standard input: so a key is in
    no history of a shell.
    """
    file = config_file(os.environ)
    change(file, name, checked(name, _typed(name) if value in {None, "-"} else str(value)))
    _tell_of_stronger(name)


@group.command("unset")
@click.argument("name", metavar="NAME")
def unset(name: str) -> None:
    """Take a setting out of the file."""
    change(config_file(os.environ), name, None)
    _tell_of_stronger(name)


def _show(asking: Asking) -> None:
    found, known = ApiSettings.found(os.environ), origins(os.environ)
    rows: list[tuple[str, str, str]] = []
    records: list[JsonValue] = []
    for name in VARIABLES:
        value = _said(name, getattr(found, name))
        origin = known.get(name, "default")
        rows.append((name, _written(value), origin))
        records.append({"name": name, "value": value, "origin": origin})
    asking.out.table(("SETTING", "VALUE", "FROM"), rows, records)


def _said(name: str, value: Any) -> JsonValue:
    """A setting's value as it is written, without what is secret of it."""
    if value is None:
        return None
    if name == _SECRET:
        key = re.fullmatch(r"(dlk_[0-9A-Za-z]{12})_.+", value)
        return f"{key[1]}_…" if key else "a token"
    if name == "retry":
        flags = f"jitter={str(value.jitter).lower()}"
        return f"max={value.max},base_ms={value.base_ms},{flags},deadline_ms={value.deadline_ms}"
    return value if isinstance(value, bool | int | float) else str(value)


def _written(value: JsonValue) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _typed(name: str) -> str:
    if sys.stdin.isatty():
        found: str = click.prompt(name, hide_input=name == _SECRET, err=True)
        return found
    text = sys.stdin.readline()
    if not text.strip():
        raise UsageError(f"there is no value of {name}", "give it on standard input")
    return text


def _tell_of_stronger(name: str) -> None:
    variable = VARIABLES.get(name)
    if variable and os.environ.get(variable, "").strip():
        Asking.of(as_json=False).say(f"{variable} is set, and comes before the file")

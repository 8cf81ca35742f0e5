"""The options that stand before every command, and those that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from datacachalog.cli.exits import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    """What was said before the command."""

    catalog: Path | None = None
    cache_dir: str | None = None
    as_json: bool = False
    quiet: bool = False


offline_option = click.option(
    "--offline",
    is_flag=True,
    help="Ask no store over a network; DATACACHALOG_OFFLINE=1 says the same.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
refresh_option = click.option(
    "--refresh", is_flag=True, help="Ask the store, however fresh the copy is."
)


locked_option = click.option(
    "--locked", is_flag=True, help="Exactly the bytes that catalog.lock has, or fail."
)


def refuse_both(*, refresh: bool, offline: bool, locked: bool = False) -> None:
    """Raises `UsageError` where `--refresh` is given with `--offline` or `--locked`."""
    if refresh and offline:
        raise UsageError("--refresh and --offline exclude each other", "give one of them")
    if refresh and locked:
        hint = "leave it out: the lockfile says which bytes it is to be"
        raise UsageError("--locked goes not with --refresh", hint)


class Parsed(click.ParamType[Any]):
    """A value that a function of the domain reads."""

    def __init__(self, name: str, parse: Callable[[str], object]) -> None:
        self.name, self._parse = name, parse

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)

"""The options that stand before every command, and those that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from datacachalog.cli.exits import UsageError

if TYPE_CHECKING:
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


def refuse_both(*, refresh: bool, offline: bool) -> None:
    """Raises `UsageError` where both `--refresh` and `--offline` are given."""
    if refresh and offline:
        raise UsageError("--refresh and --offline exclude each other", "give one of them")

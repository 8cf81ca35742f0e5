"""The options that stand before every command, and the one that every command has too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

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

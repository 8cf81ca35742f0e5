"""`catalog gc`: the removal of copies that nobody needs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from datacachalog.cli.interrupts import interruptibly
from datacachalog.cli.options import Parsed, json_option
from datacachalog.cli.output import Size
from datacachalog.cli.session import Session
from datacachalog.domain.freshness import parse_duration
from datacachalog.domain.sizes import parse_bytes
from datacachalog.domain.words import size

if TYPE_CHECKING:
    from datetime import timedelta

    from datacachalog import Collected
    from datacachalog.cli.output import Cell, JsonValue
    from datacachalog.domain.objects import CacheEntry


@click.command("gc")
@click.option(
    "--older-than",
    type=Parsed("AGE", parse_duration),
    help="Remove what was not used for so long, such as 30d, whether superseded or not.",
)
@click.option(
    "--max-size",
    type=Parsed("SIZE", parse_bytes),
    help="Remove also what was least recently used, until the rest takes at most this: 20GB.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    older_than: timedelta | None,
    max_size: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Remove superseded copies, and what killed processes have left.

    Also those of other catalogs that keep their copies in the same folder. What is in use stays:
    what a running program has fetched or pinned, and current copies of the last hour.
    """
    session = Session.of(ctx, as_json=as_json)
    catalog = session.near()
    work = partial(catalog.gc, older_than=older_than, max_size=max_size, dry_run=dry_run)
    found = interruptibly(work)
    session.out.table(
        ("PATH", "SIZE", "CHECKED"), map(_row, found.removed), _record(found, dry_run=dry_run)
    )
    verb = "would free" if dry_run else "freed"
    session.say(f"{verb} {size(found.freed_bytes)}; {size(found.kept_bytes)} stay")
    if max_size is not None and found.kept_bytes > max_size:
        kept, most = size(found.kept_bytes), size(max_size)
        why = "what is in use, or was within the last hour, stays"
        session.say(f"{kept} are more than {most}, as {why}")


def _row(entry: CacheEntry) -> list[Cell]:
    return [str(entry.path), Size(entry.info.size_bytes), entry.checked_at]


def _record(found: Collected, *, dry_run: bool) -> dict[str, JsonValue]:
    return {
        "dry_run": dry_run,
        "removed": [
            {
                "path": str(entry.path),
                "source": str(entry.info.uri.without_secrets()),
                "size_bytes": entry.info.size_bytes,
            }
            for entry in found.removed
        ],
        "swept_bytes": found.swept_bytes,
        "freed_bytes": found.freed_bytes,
        "kept_bytes": found.kept_bytes,
    }

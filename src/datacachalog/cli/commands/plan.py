"""`catalog plan`: which datasets a fetch would download, and how many bytes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from datacachalog import Outcome
from datacachalog.cli.exits import UsageError
from datacachalog.cli.interrupts import interruptibly
from datacachalog.cli.options import (
    json_option,
    locked_option,
    offline_option,
    refresh_option,
    refuse_both,
)
from datacachalog.cli.output import Painted, Size
from datacachalog.cli.records import explained_record
from datacachalog.cli.session import Session, names_argument

if TYPE_CHECKING:
    from datacachalog import Explanation, Forecast
    from datacachalog.cli.output import Cell, JsonValue

_HEADER = ("NAME", "OUTCOME", "SIZE", "CAUSE")
_COLOURS = {
    Outcome.CACHED: "green",
    Outcome.UNCHANGED: "green",
    Outcome.DOWNLOADED: "yellow",
    Outcome.STALE: "yellow",
}


@click.command("plan")
@names_argument
@click.option("--all", "everything", is_flag=True, help="All datasets, as without names.")
@refresh_option
@offline_option
@locked_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    names: tuple[str, ...],
    everything: bool,
    refresh: bool,
    offline: bool,
    locked: bool,
    as_json: bool,
) -> None:
    """Tell what a fetch would download, and how much that is.

    Of all datasets, unless some are named. Downloads nothing. It is a forecast: a store may change
    before the fetch.
    """
    if names and everything:
        raise UsageError("--all and names exclude each other", "give names, or --all")
    refuse_both(refresh=refresh, offline=offline, locked=locked)
    session = Session.of(ctx, as_json=as_json)
    catalog = session.open(offline=offline)
    found = interruptibly(partial(catalog.plan, names or None, refresh=refresh, locked=locked))
    session.out.table(_HEADER, map(_row, found.explanations), _record(found))
    session.say_if_empty(catalog)
    if found.explanations:
        session.say(str(found))


def _row(one: Explanation) -> list[Cell]:
    failed = Painted("failed", "red")
    state = failed if one.outcome is None else Painted(one.outcome.value, _COLOURS[one.outcome])
    moved = None if one.size_bytes is None else Size(one.size_bytes)
    return [one.name, state, moved, one.cause]


def _record(found: Forecast) -> dict[str, JsonValue]:
    return {
        "downloads": len(found.downloads),
        "failures": len(found.failures),
        "size_bytes": found.size_bytes,
        "datasets": [explained_record(one) for one in found.explanations],
    }

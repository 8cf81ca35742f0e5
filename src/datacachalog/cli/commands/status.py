"""`catalog status`: which copies are current, by asking the stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from datacachalog import State
from datacachalog.cli import messages
from datacachalog.cli.exits import ExitCode, worst
from datacachalog.cli.options import json_option, offline_option
from datacachalog.cli.output import Painted, Size
from datacachalog.cli.records import copy_record, object_record
from datacachalog.cli.session import Session, names_argument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datacachalog import DatasetStatus
    from datacachalog.cli.output import Cell, JsonValue

_HEADER = ("NAME", "STATE", "SIZE", "CHECKED", "SOURCE")
_COLOURS = {
    State.CURRENT: "green",
    State.STALE: "yellow",
    State.ABSENT: "dim",
    State.UNKNOWN: "red",
}


@click.command("status")
@names_argument
@click.option("--check", is_flag=True, help="Exit with 8 unless every copy is there and current.")
@offline_option
@json_option
@click.pass_context
def command(
    ctx: click.Context, *, names: tuple[str, ...], check: bool, offline: bool, as_json: bool
) -> None:
    """Compare the cached copies with their stores.

    All datasets, unless some are named.
    """
    session = Session.of(ctx, as_json=as_json)
    catalog = session.open(offline=offline)
    found = catalog.status(names or None)
    session.out.table(_HEADER, map(_row, found), [_record(one) for one in found])
    session.say_if_empty(catalog)
    for one in found:
        if one.error is not None and not session.as_json:
            messages.warn(f"{one.name}: {one.error}")
    if check:
        ctx.exit(_verdict(found))


def _verdict(found: Sequence[DatasetStatus]) -> ExitCode:
    """An error comes before staleness: as long as it is there, staleness is not known."""
    if errors := [one.error for one in found if one.error is not None]:
        return worst(errors)
    is_current = all(one.state is State.CURRENT for one in found)
    return ExitCode.DONE if is_current else ExitCode.STALE


def _row(one: DatasetStatus) -> list[Cell]:
    known = one.entry.info if one.entry is not None else one.remote
    return [
        one.name,
        Painted(one.state.value, _COLOURS[one.state]),
        None if known is None else Size(known.size_bytes),
        None if one.entry is None else one.entry.checked_at,
        str(one.source),
    ]


def _record(one: DatasetStatus) -> dict[str, JsonValue]:
    return {
        "name": one.name,
        "state": one.state.value,
        "source": str(one.source),
        "cached": None if one.entry is None else copy_record(one.entry),
        "remote": None if one.remote is None else object_record(one.remote),
        "error": None if one.error is None else messages.record(one.error),
    }

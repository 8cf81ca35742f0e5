"""`catalog verify`: whether the cached copies hold the bytes that were fetched."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from datacachalog import Integrity
from datacachalog.cli import messages
from datacachalog.cli.exits import ExitCode, worst
from datacachalog.cli.interrupts import interruptibly
from datacachalog.cli.options import json_option, offline_option
from datacachalog.cli.output import Painted, Size
from datacachalog.cli.records import copy_record
from datacachalog.cli.session import Session, names_argument

if TYPE_CHECKING:
    from datacachalog import Verified
    from datacachalog.cli.output import Cell, JsonValue

_COLOURS = {
    Integrity.INTACT: "green",
    Integrity.REPAIRED: "yellow",
    Integrity.ABSENT: "dim",
    Integrity.DAMAGED: "red",
    Integrity.UNKNOWN: "red",
}


@click.command("verify")
@names_argument
@click.option("--repair", is_flag=True, help="Fetch again what was damaged.")
@offline_option
@json_option
@click.pass_context
def command(
    ctx: click.Context, *, names: tuple[str, ...], repair: bool, offline: bool, as_json: bool
) -> None:
    """Read every byte of the cached copies, and remove damaged ones.

    All datasets, unless some are named. Exits with 7 if one was damaged and is not repaired,
    with 9 if copies cannot be read.
    """
    session = Session.of(ctx, as_json=as_json)
    catalog = session.open(offline=offline)
    session.say_if_empty(catalog)
    with session.progress() as progress:
        verify = partial(catalog.verify, names or None, repair=repair, progress=progress)
        found = interruptibly(verify)
    session.out.table(("NAME", "STATE", "SIZE"), map(_row, found), [_record(one) for one in found])
    for one in found:
        if one.error is not None and not session.as_json:
            messages.warn(f"{one.name}: {one.error}")
    lost = [one for one in found if one.integrity is Integrity.DAMAGED]
    if any(one.error is None for one in lost):
        session.say("what was damaged is removed; the next fetch downloads it again")
    ctx.exit(ExitCode.INTEGRITY if lost else worst(one.error for one in found if one.error))


def _row(one: Verified) -> list[Cell]:
    size = None if one.entry is None else Size(one.entry.info.size_bytes)
    return [one.name, Painted(one.integrity.value, _COLOURS[one.integrity]), size]


def _record(one: Verified) -> dict[str, JsonValue]:
    return {
        "name": one.name,
        "state": one.integrity.value,
        "cached": None if one.entry is None else copy_record(one.entry),
        "damaged": [str(path) for path in one.damaged],
        "error": None if one.error is None else messages.record(one.error),
    }

"""`catalog versions`: what the store keeps of a dataset's past."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from datacachalog.cli.interrupts import interruptibly
from datacachalog.cli.options import json_option
from datacachalog.cli.output import Painted, Size
from datacachalog.cli.records import object_record
from datacachalog.cli.session import Session, name_argument

if TYPE_CHECKING:
    from datacachalog.cli.output import Cell
    from datacachalog.domain.objects import ObjectInfo


@click.command("versions")
@name_argument
@json_option
@click.pass_context
def command(ctx: click.Context, *, name: str, as_json: bool) -> None:
    """List the versions that the store keeps, newest first."""
    session = Session.of(ctx, as_json=as_json)
    found = interruptibly(partial(session.open().versions, name))
    records = [object_record(one) for one in found]
    session.out.table(("VERSION", "MODIFIED", "SIZE", "ETAG"), map(_row, found), records)


def _row(one: ObjectInfo) -> list[Cell]:
    size = Painted("deleted", "red") if one.deleted else Size(one.size_bytes)
    return [one.version or "-", one.last_modified, size, one.etag]

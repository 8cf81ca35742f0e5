"""`catalog why`: what a fetch would do, in a sentence."""

from __future__ import annotations

from functools import partial

import click

from datacachalog.cli.interrupts import interruptibly
from datacachalog.cli.options import (
    json_option,
    locked_option,
    offline_option,
    refresh_option,
    refuse_both,
)
from datacachalog.cli.records import explained_record
from datacachalog.cli.session import Session, name_argument
from datacachalog.cli.text import escaped


@click.command("why")
@name_argument
@refresh_option
@offline_option
@locked_option
@json_option
@click.pass_context
def command(
    ctx: click.Context, *, name: str, refresh: bool, offline: bool, locked: bool, as_json: bool
) -> None:
    """Say why a dataset would or would not be downloaded.

    Decides as a fetch with these options would, asks the store only where that would, and
    downloads nothing.
    """
    refuse_both(refresh=refresh, offline=offline, locked=locked)
    session = Session.of(ctx, as_json=as_json)
    catalog = session.open(offline=offline)
    found = interruptibly(partial(catalog.why, name, refresh=refresh, locked=locked))
    session.out.lines([escaped(str(found))], explained_record(found))

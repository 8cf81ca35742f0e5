"""`catalog list`: which datasets there are."""

from __future__ import annotations

import click

from datacachalog.cli.options import json_option
from datacachalog.cli.records import dataset_record
from datacachalog.cli.session import Session


@click.command("list")
@json_option
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """List the datasets: name, source, description."""
    session = Session.of(ctx, as_json=as_json)
    catalog = session.open()
    rows = [(one.name, str(one.source), one.description) for one in catalog.datasets]
    records = [dataset_record(one) for one in catalog.datasets]
    session.out.table(("NAME", "SOURCE", "DESCRIPTION"), rows, records)
    session.say_if_empty(catalog)

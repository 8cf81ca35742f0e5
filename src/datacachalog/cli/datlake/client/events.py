"""`datlake events`: what happens, as it happens."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING

import click

from datacachalog.cli.datlake.client.asking import Asking, record_of, tables_offered
from datacachalog.cli.options import json_option
from datacachalog.cli.text import escaped
from datacachalog.domain.words import moment

if TYPE_CHECKING:
    from datacachalog.sdk.records import Event


@click.command("events")
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="TYPE",
    help="Only this type, such as snapshot.committed; may be given several times.",
)
@click.option("--table", metavar="TABLE", shell_complete=tables_offered, help="Only of this table.")
@click.option("--job", "job_name", metavar="JOB", help="Only of this job.")
@click.option(
    "--since",
    type=click.IntRange(0),
    metavar="SEQ",
    help="Those after this number first; 0 is the beginning.",
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="End after so many.")
@json_option
def command(
    types: tuple[str, ...],
    table: str | None,
    job_name: str | None,
    since: int | None,
    limit: int | None,
    *,
    as_json: bool,
) -> None:
    """Follow the events that you may know of.

    One a line, until Ctrl-C. With --json, each line is a JSON object.
    """
    client = Asking.of(as_json=as_json).client()
    followed = client.follow(types, table_name=table, job_name=job_name, since=since)
    for one in islice(followed, limit):
        click.echo(json.dumps(record_of(one)) if as_json else _line(one))


def _line(one: Event) -> str:
    about = (one.table_name, one.job_name, one.run_id)
    cells = (str(one.seq), moment(one.created_at), one.type, *(cell or "" for cell in about))
    return "\t".join((*map(escaped, cells), json.dumps(one.data)))

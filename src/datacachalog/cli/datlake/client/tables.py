"""`datlake get-uri`, `tables`, `snapshots` and `lineage`: what there is, and where."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

import click

from datacachalog.cli.datlake.client.asking import Asking, record_of, table_argument
from datacachalog.cli.exits import UsageError
from datacachalog.cli.options import Parsed, json_option
from datacachalog.cli.output import Size

if TYPE_CHECKING:
    from datacachalog.domain.registry import Snapshot


def _time(text: str) -> datetime:
    """A time in ISO 8601, UTC unless it names a zone; a date is its first moment.

    >>> _time("2026-01-31").isoformat()
    '2026-01-31T00:00:00+00:00'
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time such as 2026-01-31T12:00:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@click.command("get-uri")
@table_argument
@click.option("--tag", metavar="TAG", help="Of the snapshot that has TAG.")
@click.option("--as-of", type=Parsed("TIME", _time), help="Of the one that was current at TIME.")
@click.option("--snapshot", "snapshot_id", metavar="ID", help="Of this one.")
@json_option
def get_uri(
    table: str,
    tag: str | None,
    as_of: datetime | None,
    snapshot_id: str | None,
    *,
    as_json: bool,
) -> None:
    """Print the URI of TABLE.

    That of its current snapshot, or of another one.
    """
    if sum(one is not None for one in (tag, as_of, snapshot_id)) > 1:
        raise UsageError("--tag, --as-of and --snapshot exclude each other", "give one of them")
    asking = Asking.of(as_json=as_json)
    client = asking.client()
    if snapshot_id is not None:
        found = client.get_snapshot(table, snapshot_id)
    else:
        found = client.get_latest_snapshot(table, as_of=as_of, tag=tag)
    asking.out.lines([found.uri], record_of(found))


@click.command("tables")
@click.option("--namespace", metavar="NAME", help="Only those of this namespace.")
@click.option("--containing", metavar="TEXT", help="Only those with TEXT in their name.")
@json_option
def tables(namespace: str | None, containing: str | None, *, as_json: bool) -> None:
    """List the tables that you may read.

    With the current snapshot of each.
    """
    asking = Asking.of(as_json=as_json)
    found = asking.client().get_tables(namespace=namespace, containing=containing)
    rows = [(one.name, one.latest_snapshot_id) for one in found]
    asking.out.table(("TABLE", "SNAPSHOT"), rows, [record_of(one) for one in found])
    if not found:
        asking.say("there is no such table, or none that you may read")


@click.command("snapshots")
@table_argument
@click.option("--limit", type=click.IntRange(1), default=50, help="How many; 50 unless given.")
@json_option
def snapshots(table: str, limit: int, *, as_json: bool) -> None:
    """List the snapshots of TABLE, the newest first."""
    asking = Asking.of(as_json=as_json)
    found = list(islice(asking.client().list_snapshots(table), limit))
    header = ("SNAPSHOT", "SEQ", "CREATED", "SIZE", "ROWS", "URI")
    asking.out.table(header, map(_row, found), [record_of(one) for one in found])


def _row(one: Snapshot) -> tuple[str, str, datetime, Size, str, str]:
    rows = "" if one.row_count is None else str(one.row_count)
    return one.snapshot_id, str(one.seq), one.created_at, Size(one.size_bytes), rows, one.uri


@click.command("lineage")
@table_argument
@click.option("--downstream", is_flag=True, help="What was made of it instead.")
@click.option("--depth", type=click.IntRange(1), metavar="N", help="At most N tables away.")
@json_option
def lineage(table: str, depth: int | None, *, downstream: bool, as_json: bool) -> None:
    """List what TABLE was made of, and by which job.

    The nearest first, as far as you may see.
    """
    asking = Asking.of(as_json=as_json)
    direction = "downstream" if downstream else "upstream"
    found = asking.client().get_lineage(table, direction, depth=depth)  # type: ignore[arg-type]
    rows = [(one.source, one.target, one.job_name, one.last_run_id) for one in found.edges]
    asking.out.table(("SOURCE", "TARGET", "JOB", "LAST RUN"), rows, record_of(found))
    if found.is_cut:
        asking.say("there is more; ask for it of the last tables")

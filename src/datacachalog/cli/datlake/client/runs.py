"""`datlake runs` and `show-run`: what was run, how it ended, and what it read, wrote and left."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import click

from datacachalog.cli.datlake.client.asking import Asking, record_of
from datacachalog.cli.options import json_option

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from typing import Any

    from datacachalog.sdk.records import Run

_WITH_DATA = ("inputs", "outputs", "artifacts")


@click.command("runs")
@click.argument("job_name", metavar="JOB")
@click.option("--limit", type=click.IntRange(1), default=50, help="How many; 50 unless given.")
@json_option
def runs(job_name: str, limit: int, *, as_json: bool) -> None:
    """List the runs of JOB, the newest first."""
    asking = Asking.of(as_json=as_json)
    found = list(islice(asking.client().list_runs(job_name), limit))
    header = ("RUN", "STATUS", "STARTED", "FINISHED", "ERROR")
    asking.out.table(header, map(_row, found), [_line_of(one) for one in found])
    if not found:
        asking.say("there is no run of that job, or none that you may know of")


def _row(one: Run) -> tuple[str, str, datetime | str, datetime | str, str]:
    started, finished = one.started_at or "", one.finished_at or ""
    return one.run_id, one.status, started, finished, one.error or ""


def _line_of(one: Run) -> dict[str, Any]:
    """A run as JSON, without what a list does not tell."""
    return {name: value for name, value in record_of(one).items() if name not in _WITH_DATA}


@click.command("show-run")
@click.argument("run_id", metavar="RUN_ID")
@json_option
def show_run(run_id: str, *, as_json: bool) -> None:
    """Show a run: how it ended, its data, and what it left, such as its log."""
    asking = Asking.of(as_json=as_json)
    found = asking.client().get_run(run_id)
    asking.out.facts(_facts(found), record_of(found))


def _facts(one: Run) -> Iterator[tuple[str, str | datetime]]:
    yield "run", one.run_id
    yield "job", one.job_name
    yield "status", one.status
    yield "error", one.error or ""
    yield "parent", one.parent_run_id or ""
    yield "started", one.started_at or ""
    yield "finished", one.finished_at or ""
    for name, value in one.metadata.items():
        yield f"metadata {name}", str(value)
    yield from (("input", _named(each)) for each in one.inputs)
    yield from (("output", _named(each)) for each in one.outputs)
    yield from ((each.type, each.uri) for each in one.artifacts)


def _named(data: Mapping[str, Any]) -> str:
    """A table, with its snapshot if one is known; or the URI of an object."""
    if (uri := data.get("uri")) is not None:
        return str(uri)
    snapshot_id = data.get("snapshot_id")
    return f"{data['table_name']}@{snapshot_id}" if snapshot_id else str(data["table_name"])

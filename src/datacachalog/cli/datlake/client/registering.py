"""`datlake register-snapshot` and `job`: objects become snapshots of tables."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from datacachalog.cli.datlake.client.asking import Asking, record_of, tables_offered
from datacachalog.cli.options import Parsed, json_option
from datacachalog.domain.registry import format_named
from datacachalog.sdk.surrounding import surrounding_run

if TYPE_CHECKING:
    from datacachalog.sdk.records import Job

_TIMEOUT_S = 300.0

timeout_option = click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, min_open=True),
    default=_TIMEOUT_S,
    metavar="SECONDS",
    help="How long to wait at most; 300 unless given.",
)


def _schema(text: str) -> dict[str, Any]:
    """The JSON object that `text` is, or that the file of that name holds."""
    try:
        told = text if text.lstrip().startswith("{") else Path(text).read_text("utf-8")
        found = json.loads(told)
    except OSError as error:
        raise ValueError(f"{text!r} cannot be read: {error.strerror}") from None
    except ValueError:
        raise ValueError("it is no JSON, and no file that holds some") from None
    if not isinstance(found, dict):
        raise ValueError('it is no JSON object such as {"fields": […]}')  # noqa: TRY004 - click's
    return found


@click.command("register-snapshot")
@click.option(
    "--table-name",
    "table",
    required=True,
    metavar="TABLE",
    shell_complete=tables_offered,
    help="The table; made by its first snapshot.",
)
@click.option("--uri", required=True, metavar="URI", help="The object, where it is in the store.")
@click.option(
    "--format",
    "form",
    metavar="FORMAT",
    help="As the ending of the URI says, and parquet where it says nothing, unless given.",
)
@click.option(
    "--schema",
    type=Parsed("FILE|JSON", _schema),
    help="Its columns, as a snapshot has them; found in the object unless given.",
)
@click.option(
    "--expected-parent", metavar="ID", help="The snapshot that must be current still, or none."
)
@click.option("--wait", is_flag=True, help="Until it is done; prints the snapshot's id then.")
@timeout_option
@json_option
def register_snapshot(
    table: str,
    uri: str,
    form: str | None,
    schema: dict[str, Any] | None,
    expected_parent: str | None,
    timeout_s: float,
    *,
    wait: bool,
    as_json: bool,
) -> None:
    """Make an object the next snapshot of a table.

    It is in the store already. Prints the id of the job that does it. Inside of `datlake run`, it
    is an output of that run.
    """
    asking, around = Asking.of(as_json=as_json), surrounding_run(os.environ)
    done = asking.client().register_snapshot(
        table,
        uri,
        form or format_named(uri) or "parquet",
        schema,
        expected_parent=expected_parent,
        job_name=None if around is None else around.job_name,
        run_id=None if around is None else around.run_id,
        wait=wait,
        timeout_s=timeout_s,
    )
    asking.out.lines([str(done.snapshot_id if wait else done.job_id)], _record(done))


@click.command("job")
@click.argument("job_id", metavar="JOB_ID")
@click.option("--wait", is_flag=True, help="Until it has ended; fails where it did.")
@timeout_option
@json_option
def job(job_id: str, timeout_s: float, *, wait: bool, as_json: bool) -> None:
    """Show how a registration stands.

    JOB_ID is what `register-snapshot` printed.
    """
    asking = Asking.of(as_json=as_json)
    client = asking.client()
    found = client.wait_for_job(job_id, timeout_s) if wait else client.get_job(job_id)
    asking.out.facts(
        {
            "job_id": found.job_id,
            "status": found.status,
            "snapshot_id": found.snapshot_id,
            "error_code": found.error_code,
            "error": found.error,
            "created_at": found.created_at,
            "finished_at": found.finished_at,
        }.items(),
        _record(found),
    )


def _record(job: Job) -> dict[str, Any]:
    return {**record_of(job), "snapshot_id": job.snapshot_id}

"""`datlake migrate` and `datlake doctor`: for who runs a registry."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from datacachalog.cli.datlake.server import server, settings_of
from datacachalog.cli.exits import worst
from datacachalog.cli.messages import record
from datacachalog.cli.options import json_option
from datacachalog.cli.output import Output, Painted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datacachalog.cli.exits import ExitCode
    from datacachalog.cli.output import JsonValue
    from datacachalog.server.operations.doctor import Finding


@click.command("migrate")
@click.pass_obj
def migrate(given: dict[str, Any]) -> None:
    """Bring the database up to date, or make it. Servers do so themselves when they start."""
    server("serve").migrate(settings_of(given))


@click.command("doctor")
@json_option
@click.pass_context
def doctor(ctx: click.Context, *, as_json: bool) -> None:
    """Check settings, disk, database, clock, workers and every location.

    Changes nothing, and prints no secret. The exit code is that of the worst finding.
    """
    code = _shown(server("operations.doctor").examined(settings_of(ctx.obj)), as_json=as_json)
    ctx.exit(code)


def _shown(found: Sequence[Finding], *, as_json: bool) -> ExitCode:
    cells = [
        (one.check, one.said if one.error is None else Painted(f"failed: {one.said}", "red"))
        for one in found
    ]
    Output.standard(datetime.now(UTC), as_json=as_json).facts(
        cells, [_record(one) for one in found]
    )
    failures = [one.error for one in found if one.error is not None]
    if failures:
        print(f"{len(failures)} of {len(found)} checks failed", file=sys.stderr)  # noqa: T201
    return worst(failures)


def _record(one: Finding) -> JsonValue:
    error = None if one.error is None else record(one.error)
    return {"check": one.check, "ok": error is None, "said": one.said, "error": error}

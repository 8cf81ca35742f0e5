"""`catalog doctor`: what a person who is to help would ask first."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from datacachalog import Catalog
from datacachalog.cli.exits import exit_code
from datacachalog.cli.findings import (
    cache_folder,
    cache_layer,
    catalog_file,
    environment,
    versions,
    view_folder,
)
from datacachalog.cli.messages import hint_of
from datacachalog.cli.options import json_option
from datacachalog.cli.output import Painted
from datacachalog.cli.session import Session
from datacachalog.cli.store_findings import StoreCheck

if TYPE_CHECKING:
    from datacachalog.cli.findings import Finding
    from datacachalog.cli.output import Cell


@click.command("doctor")
@json_option
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """Check versions, settings, the cache and every store.

    Works without a catalog too. The exit code is that of the first check that fails. No secret is
    printed: the report may be shown to others.
    """
    session = Session.of(ctx, as_json=as_json)
    found = _findings(session)
    session.out.facts([(one.check, _cell(one)) for one in found], [one.record() for one in found])
    failures = [one.error for one in found if one.error is not None]
    if failures:
        session.say(f"{len(failures)} of {len(found)} checks failed")
        ctx.exit(exit_code(failures[0]))


def _findings(session: Session) -> list[Finding]:
    catalog, declared = catalog_file(session.options, os.environ)
    found = [versions(), environment(os.environ), catalog]
    found.append(cache_folder(session.options, os.environ, declared))
    if declared is not None:
        found += [cache_layer(one, os.environ, declared) for one in declared.layers]
    if declared is not None and declared.view is not None:
        found.append(view_folder(declared.view, declared.datasets))
    if declared is not None:
        catalog_there = Catalog.open(declared.file)
        check = StoreCheck(
            catalog_there.storage, declared.storage, os.environ, offline=catalog_there.offline
        )
        found += check.findings(declared.datasets)
    return found


def _cell(finding: Finding) -> Cell:
    if finding.error is None:
        return finding.said
    hint = hint_of(finding.error)
    return Painted(f"failed: {finding.said}" + (f" ({hint})" if hint else ""), "red")

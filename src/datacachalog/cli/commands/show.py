"""`catalog show`: everything that is known of one dataset, without asking its store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from datacachalog.cli.options import json_option
from datacachalog.cli.output import Size
from datacachalog.cli.records import copy_record, dataset_record
from datacachalog.cli.session import Session, name_argument

if TYPE_CHECKING:
    from datacachalog.cli.output import Cell
    from datacachalog.domain.dataset import Dataset
    from datacachalog.domain.objects import CacheEntry


@click.command("show")
@name_argument
@json_option
@click.pass_context
def command(ctx: click.Context, *, name: str, as_json: bool) -> None:
    """Show what is known of a dataset, without asking its store."""
    session = Session.of(ctx, as_json=as_json)
    catalog = session.open()
    dataset = catalog[name]
    entry = catalog.cache.current(catalog.storage.identity(dataset.source), dataset.source)
    record = {**dataset_record(dataset), "cached": None if entry is None else copy_record(entry)}
    session.out.facts([*_of_dataset(dataset).items(), *_of_copy(entry).items()], record)


def _of_dataset(dataset: Dataset) -> dict[str, Cell]:
    return {
        "name": dataset.name,
        "source": str(dataset.source),
        "description": dataset.description,
        "tags": ", ".join(dataset.tags),
        "freshness": str(dataset.freshness),
        "checksum": None if dataset.checksum is None else str(dataset.checksum),
        "push": "allowed" if dataset.push else "not allowed",
    }


def _of_copy(entry: CacheEntry | None) -> dict[str, Cell]:
    if entry is None:
        return {"cached": "nothing"}
    return {
        "cached": str(entry.path),
        "size": Size(entry.info.size_bytes),
        "etag": entry.info.etag,
        "version": entry.info.version,
        "modified": entry.info.last_modified,
        "digest": f"blake3:{entry.digest}",
        "checked": entry.checked_at,
    }

"""What the commands say of datasets, objects and copies, as JSON.

Times are ISO 8601 in UTC, sizes are in bytes, and what is not known is null: every record of one
kind has the same keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacachalog.cli import messages
from datacachalog.cli.text import moment

if TYPE_CHECKING:
    from datetime import datetime

    from datacachalog.application.results import Fetched, PushResult
    from datacachalog.cli.output import JsonValue
    from datacachalog.domain.dataset import Dataset
    from datacachalog.domain.objects import CacheEntry, ObjectInfo


def dataset_record(dataset: Dataset) -> dict[str, JsonValue]:
    """What the catalog says of a dataset."""
    return {
        "name": dataset.name,
        "source": str(dataset.source),
        "description": dataset.description,
        "tags": list(dataset.tags),
        "freshness": str(dataset.freshness),
        "on_unreachable": dataset.on_unreachable,
        "checksum": None if dataset.checksum is None else str(dataset.checksum),
        "push": dataset.push,
    }


def object_record(info: ObjectInfo) -> dict[str, JsonValue]:
    """What the store said of an object, or of one version of it."""
    return {
        "size_bytes": info.size_bytes,
        "etag": info.etag,
        "version": info.version,
        "last_modified": _time(info.last_modified),
        "deleted": info.deleted,
    }


def copy_record(entry: CacheEntry) -> dict[str, JsonValue]:
    """What the cache holds of a dataset."""
    return {
        "path": str(entry.path),
        "size_bytes": entry.info.size_bytes,
        "etag": entry.info.etag,
        "version": entry.info.version,
        "last_modified": _time(entry.info.last_modified),
        "digest": f"blake3:{entry.digest}",
        "checked_at": moment(entry.checked_at),
    }


def fetched_record(fetched: Fetched) -> dict[str, JsonValue]:
    """What a fetch did."""
    return {
        "name": fetched.name,
        "outcome": fetched.outcome.value,
        **copy_record(fetched.entry),
        "error": None if fetched.error is None else messages.record(fetched.error),
    }


def pushed_record(pushed: PushResult) -> dict[str, JsonValue]:
    """What a push did."""
    return {"name": pushed.name, "source": str(pushed.info.uri), **copy_record(pushed.entry)}


def _time(when: datetime | None) -> str | None:
    return None if when is None else moment(when)

"""What the commands say of datasets, objects and copies, as JSON.

Times are ISO 8601 in UTC, sizes are in bytes, and what is not known is null: every record of one
kind has the same keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacachalog.cli import messages
from datacachalog.domain.words import moment

if TYPE_CHECKING:
    from datetime import datetime

    from datacachalog.application.explanations import Explanation
    from datacachalog.application.results import Fetched, Locked, PushResult
    from datacachalog.cli.output import JsonValue
    from datacachalog.domain.dataset import Dataset
    from datacachalog.domain.errors import DatacachalogError
    from datacachalog.domain.lockfile import Pin
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
        "error": _error(fetched.error),
        "link_error": _error(fetched.link_error),
    }


def pushed_record(pushed: PushResult) -> dict[str, JsonValue]:
    """What a push did."""
    return {
        "name": pushed.name,
        "source": str(pushed.info.uri),
        **copy_record(pushed.entry),
        "link_error": _error(pushed.link_error),
    }


def explained_record(explained: Explanation) -> dict[str, JsonValue]:
    """What a fetch would do."""
    entry, remote = explained.entry, explained.remote
    return {
        "name": explained.name,
        "outcome": None if explained.outcome is None else explained.outcome.value,
        "reason": explained.reason.value,
        "size_bytes": explained.size_bytes,
        "sentence": str(explained),
        "cached": None if entry is None else copy_record(entry),
        "remote": None if remote is None else object_record(remote),
        "error": _error(explained.error),
    }


def _error(error: DatacachalogError | None) -> JsonValue:
    return None if error is None else messages.record(error)


def locked_record(locked: Locked) -> dict[str, JsonValue]:
    """What locking changed, or with `--check` would change."""
    return {
        "name": locked.name,
        "change": locked.change.value,
        "before": None if locked.before is None else _pin_record(locked.before),
        "after": None if locked.after is None else _pin_record(locked.after),
        "differences": list(locked.differences),
    }


def _pin_record(pin: Pin) -> dict[str, JsonValue]:
    return {
        "source": pin.source,
        "size_bytes": pin.size_bytes,
        "etag": pin.etag,
        "version": pin.version,
        "last_modified": _time(pin.last_modified),
        "digest": f"blake3:{pin.digest}",
    }


def _time(when: datetime | None) -> str | None:
    return None if when is None else moment(when)

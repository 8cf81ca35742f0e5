"""What a registry says of tables and their snapshots."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from datacachalog.domain.objects import Revision, is_immutable_version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from datacachalog.domain.objects import ObjectInfo


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One immutable state of a table; `str()` of it is its URI.

    `schema` is `{"fields": [{"name", "type", "nullable"}, …]}`, types as Arrow writes them; None
    in a list, and where nobody knows it. `seq` counts a table's snapshots, from 1; `parent_id` is
    what was current when it was made. `etag` and `version` are of the object, as its store told
    them when it was registered. `created_at` is the registry's clock, aware.
    """

    table_name: str
    snapshot_id: str
    uri: str
    format: str
    created_at: datetime
    size_bytes: int
    seq: int
    parent_id: str | None = None
    row_count: int | None = None
    etag: str | None = None
    version: str | None = None
    schema: Mapping[str, Any] | None = field(default=None, hash=False)

    def __str__(self) -> str:
        return self.uri


@dataclass(frozen=True, slots=True)
class Registration:
    """What is to become a snapshot.

    `schema` is as a `Snapshot` has it, and found in the object where it is None. `expected_parent`
    is the id of the snapshot that this one must follow, or `none`; whatever is current will do
    where it is None. The run of `job_name` and `run_id` is noted as the one that wrote it.
    """

    table_name: str
    uri: str
    format: str = "parquet"
    schema: Mapping[str, Any] | None = field(default=None, hash=False)
    expected_parent: str | None = None
    job_name: str | None = None
    run_id: str | None = None


_FORMATS = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


def format_named(name: str) -> str | None:
    """The format of a file or an object, as its name tells it; None where that says nothing.

    >>> format_named("s3://lake/sales/2025.CSV")
    'csv'
    """
    return _FORMATS.get(PurePosixPath(name).suffix.lower())


def difference(snapshot: Snapshot, found: ObjectInfo) -> str | None:
    """How an object is not the one that was registered as a snapshot; None where it is.

    Where neither version nor tag is known of both, its size has to do. Not so of a file: it may be
    any of this machine, whoever answers as the registry.
    """
    registered = Revision(snapshot.etag, snapshot.version, snapshot.size_bytes)
    if found.size_bytes != snapshot.size_bytes:
        return f"it has {found.size_bytes} bytes, and {snapshot.size_bytes} were registered"
    if snapshot.etag is None and found.uri.scheme == "file":
        return "it is a file, and no tag of it was registered"
    is_sure = registered.is_strong or is_immutable_version(snapshot.version)
    is_same = (
        registered.same_bytes(found.revision)
        if is_sure
        else found.etag in {snapshot.etag, None} or snapshot.etag is None
    )
    return None if is_same else f"its tag is {found.etag}, and {snapshot.etag} was registered"

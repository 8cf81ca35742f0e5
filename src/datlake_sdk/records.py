"""What the client returns, to annotate with: `from datlake_sdk.records import Snapshot`."""

from datacachalog.domain.registry import Snapshot
from datacachalog.sdk.records import (
    Artifact,
    AuditLine,
    Edge,
    Event,
    Grant,
    Job,
    Key,
    Lineage,
    Principal,
    Role,
    Run,
    Sent,
    StorageLocation,
    Table,
    TableLine,
    Tag,
    WhoAmI,
)

__all__ = [
    "Artifact",
    "AuditLine",
    "Edge",
    "Event",
    "Grant",
    "Job",
    "Key",
    "Lineage",
    "Principal",
    "Role",
    "Run",
    "Sent",
    "Snapshot",
    "StorageLocation",
    "Table",
    "TableLine",
    "Tag",
    "WhoAmI",
]

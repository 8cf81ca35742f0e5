"""What the client of a registry returns. Times are the registry's clock, aware."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class TableLine:
    """A table in a list."""

    name: str
    latest_snapshot_id: str | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table. `etag` changes with all that is here, and is what `if_match` takes."""

    name: str
    latest_snapshot_id: str | None
    namespace: str
    schema_policy: str
    created_at: datetime
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Tag:
    """A name that a snapshot of a table was given, `created_at` then."""

    name: str
    snapshot_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Job:
    """A registration as it stands: `queued`, `running`, `completed`, `failed` or `cancelled`."""

    job_id: str
    status: str
    attempts: int = 0
    error_code: str | None = None
    error: str | None = None
    result: Mapping[str, Any] | None = field(default=None, hash=False)
    created_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def snapshot_id(self) -> str | None:
        """The snapshot that it made, once it is completed."""
        return None if self.result is None else self.result.get("snapshot_id")

    @property
    def is_over(self) -> bool:
        """Whether it will not change any more."""
        return self.status not in {"queued", "running"}


@dataclass(frozen=True, slots=True)
class Artifact:
    """Something that a run left, such as its log: `type` is `log` then."""

    type: str
    uri: str


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a job: `running`, `success`, `failed`, `aborted` or `lost`.

    `inputs` and `outputs` are `{"table_name", "snapshot_id"}` or `{"uri"}`; a list has neither
    these nor `artifacts`. It is lost when its heartbeats do not come.
    """

    job_name: str
    run_id: str
    status: str = "running"
    principal: str | None = None
    parent_run_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    error: str | None = None
    heartbeat_interval_s: int | None = None
    beat_at: datetime | None = None
    lost_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    inputs: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    outputs: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    artifacts: tuple[Artifact, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """A job that made the table `target` of the table `source`; its newest run that did."""

    source: str
    target: str
    job_name: str
    last_run_id: str


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a table was made of (`upstream`), or what was made of it (`downstream`), nearest first.

    `is_cut`: there is more than the registry tells at once.
    """

    table_name: str
    direction: str
    edges: tuple[Edge, ...]
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Sent:
    """An event that was published, by its number; there are no gaps."""

    seq: int
    type: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, such as `snapshot.committed`; `custom.` begins what jobs publish."""

    seq: int
    type: str
    created_at: datetime
    table_name: str | None = None
    job_name: str | None = None
    run_id: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """Who calls, and what it may do everywhere."""

    principal: str
    key_id: str | None
    key_privileges: tuple[str, ...] | None
    key_expires_at: datetime | None
    roles: tuple[str, ...]
    privileges: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key. Its text, `key`, is there only as it is made, and kept nowhere."""

    id: str
    principal: str
    name: str
    privileges: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who may call: a `user`, a `service`, or a `token`'s subject."""

    name: str
    kind: str
    issuer: str | None
    subject: str | None
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Role:
    """What may be granted to, and had."""

    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Grant:
    """Who (`to`) may do what, on what: `catalog`, `namespace:…`, `table:…` or `location:…`."""

    id: str
    privilege: str
    on: str
    to: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StorageLocation:
    """Where objects of tables may be. Only administrators are told its `options`."""

    id: str
    uri: str
    created_at: datetime
    options: Mapping[str, Any] | None = field(default=None, hash=False)


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One thing that was done. No `principal`: by the command line of the registry."""

    id: str
    at: datetime
    principal: str | None
    key_id: str | None
    action: str
    object: str
    request_id: str | None
    detail: Mapping[str, Any] = field(hash=False)

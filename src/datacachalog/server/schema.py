"""What the registry's database holds; `migrations` make it, and a test compares the two.

Times are microseconds since 1970 in UTC: the same number in SQLite and in PostgreSQL.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

if TYPE_CHECKING:
    from sqlalchemy import Dialect

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class UtcTime(TypeDecorator[datetime]):
    """An aware time, kept as a whole number of microseconds."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else _EPOCH + value * _MICROSECOND


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> Column[str]:
    return Column("id", String(64), primary_key=True)


def _at(name: str = "created_at", *, nullable: bool = False) -> Column[datetime]:
    return Column(name, UtcTime, nullable=nullable)


def _of(name: str, other: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, String(64), ForeignKey(f"{other}.id"), nullable=nullable)


principals = Table(
    "principals",
    metadata,
    _id(),
    Column("name", String(200), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),  # user | service
    Column("issuer", String(400)),
    Column("subject", String(400)),
    _at("disabled_at", nullable=True),
    _at(),
    UniqueConstraint("issuer", "subject"),
)

api_keys = Table(
    "api_keys",
    metadata,
    _id(),
    _of("principal_id", "principals"),
    Column("name", String(200), nullable=False),
    Column("secret_sha256", String(64), nullable=False),
    Column("privileges", JSON),  # what it may at most; null for all that its principal may
    _at("expires_at", nullable=True),
    _at("revoked_at", nullable=True),
    _at(),
)

roles = Table(
    "roles", metadata, _id(), Column("name", String(200), nullable=False, unique=True), _at()
)

role_members = Table(
    "role_members",
    metadata,
    Column("role_id", String(64), ForeignKey("roles.id"), primary_key=True),
    Column("member_kind", String(16), primary_key=True),  # principal | role
    Column("member_id", String(64), primary_key=True),
    _at(),
)

grants = Table(
    "grants",
    metadata,
    _id(),
    Column("grantee_kind", String(16), nullable=False),  # principal | role
    Column("grantee_id", String(64), nullable=False),
    Column("privilege", String(16), nullable=False),
    Column("object_kind", String(16), nullable=False),  # catalog | namespace | table | location
    Column("object_id", String(64), nullable=False),  # "" for the catalog
    Column("granted_by", String(64)),
    _at(),
    UniqueConstraint(
        "grantee_kind", "grantee_id", "privilege", "object_kind", "object_id", name="uq_grants"
    ),
    Index(None, "object_kind", "object_id"),
)

locations = Table(
    "storage_locations",
    metadata,
    _id(),
    Column("scheme", String(16), nullable=False),
    Column("bucket", String(255), nullable=False),
    Column("prefix", String(1024), nullable=False),  # "" or ends in "/"
    Column("options", JSON, nullable=False),
    _at(),
    UniqueConstraint("scheme", "bucket", "prefix"),
)

namespaces = Table(
    "namespaces",
    metadata,
    _id(),
    Column("name", String(100), nullable=False, unique=True),
    _at(),
)

tables = Table(
    "tables",
    metadata,
    _id(),
    _of("namespace_id", "namespaces"),
    Column("name", String(100), nullable=False),
    Column("description", Text, nullable=False),
    Column("schema_policy", String(16), nullable=False),  # none | additive | strict
    Column("current_snapshot_id", String(64)),
    Column("seq", BigInteger, nullable=False),  # of the latest snapshot
    Column("row_version", BigInteger, nullable=False),
    _of("created_by", "principals"),
    _at("deleted_at", nullable=True),
    _at(),
    Index(
        "uq_tables_living_name",
        "namespace_id",
        "name",
        unique=True,
        sqlite_where=text("deleted_at IS NULL"),
        postgresql_where=text("deleted_at IS NULL"),
    ),
    Index(None, "name"),
)

schemas = Table(
    "schemas",
    metadata,
    _id(),
    _of("table_id", "tables"),
    Column("fingerprint", String(64), nullable=False),
    Column("fields", JSON, nullable=False),
    _at(),
    UniqueConstraint("table_id", "fingerprint"),
)

snapshots = Table(
    "snapshots",
    metadata,
    _id(),
    _of("table_id", "tables"),
    Column("seq", BigInteger, nullable=False),
    Column("parent_id", String(64)),
    Column("uri", String(2048), nullable=False),
    Column("format", String(32), nullable=False),
    _of("schema_id", "schemas", nullable=True),
    Column("row_count", BigInteger),
    Column("size_bytes", BigInteger, nullable=False),
    Column("etag", String(255)),
    Column("version", String(255)),
    Column("content_sha256", String(64), nullable=False),  # of uri, etag, version and size
    Column("run_id", String(64)),
    _of("created_by", "principals"),
    _at(),
    UniqueConstraint("table_id", "seq"),
    Index(None, "table_id", "content_sha256"),
    Index(None, "run_id"),
)

table_tags = Table(
    "table_tags",
    metadata,
    Column("table_id", String(64), ForeignKey("tables.id"), primary_key=True),
    Column("name", String(100), primary_key=True),
    _of("snapshot_id", "snapshots"),
    _at(),
)

tasks = Table(
    "tasks",
    metadata,
    _id(),
    Column("kind", String(64), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("status", String(16), nullable=False),  # queued running completed failed cancelled
    Column("attempts", Integer, nullable=False),
    _at("run_after"),
    _at("lease_until", nullable=True),
    Column("lease_token", String(64)),
    Column("cancel_asked", Boolean, nullable=False),
    Column("error_code", String(64)),
    Column("error", Text),
    Column("result", JSON),
    _of("principal_id", "principals"),
    Column("key_id", String(64)),
    Column("request_id", String(200)),
    _at("finished_at", nullable=True),
    _at(),
    Index(None, "status", "run_after"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("principal_id", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("request_sha256", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("location", String(400)),
    _at(),
)

audit = Table(
    "audit",
    metadata,
    _id(),
    _at("at"),
    Column("principal_id", String(64)),
    Column("key_id", String(64)),
    Column("action", String(64), nullable=False),
    Column("object", String(400), nullable=False),
    Column("request_id", String(200)),
    Column("detail", JSON, nullable=False),
    Index(None, "at"),
)

jobs = Table(
    "jobs",
    metadata,
    _id(),
    Column("name", String(200), nullable=False, unique=True),
    _at(),
)

runs = Table(
    "runs",
    metadata,
    _id(),
    _of("job_id", "jobs"),
    Column("state", String(16), nullable=False),  # running completed failed aborted lost
    Column("details", JSON, nullable=False),  # what people call its metadata
    Column("parent_run_id", String(64)),
    Column("error", JSON),
    Column("extra", JSON),
    _of("created_by", "principals"),
    _at("started_at"),
    Column("heartbeat_s", Integer),  # how often it promised to beat; null for never
    _at("beat_at", nullable=True),
    _at("ended_at", nullable=True),
    Index(None, "job_id", "started_at"),
    Index(None, "state", "beat_at"),
)

run_io = Table(
    "run_io",
    metadata,
    Column("run_id", String(64), ForeignKey("runs.id"), primary_key=True),
    Column("direction", String(8), primary_key=True),  # input | output
    Column("dataset", String(2048), primary_key=True),  # table:name or a URI
    Column("snapshot_id", String(64), primary_key=True),  # "" where it is of none
    _at(),
    Index(None, "snapshot_id"),
)

artifacts = Table(
    "artifacts",
    metadata,
    _id(),
    _of("run_id", "runs"),
    Column("type", String(64), nullable=False),
    Column("uri", String(2048), nullable=False),
    _at(),
    Index(None, "run_id"),
)

counters = Table(
    "counters",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

events = Table(
    "events",
    metadata,
    # From the counter `events`, whose row is locked to the end of each transaction: a sequence of
    # PostgreSQL would let a later number be seen before an earlier one.
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("type", String(100), nullable=False),
    Column("table_id", String(64)),  # who may SELECT it sees the event
    Column("run_id", String(64)),
    Column("principal_id", String(64)),
    Column("data", JSON, nullable=False),
    _at(),
)

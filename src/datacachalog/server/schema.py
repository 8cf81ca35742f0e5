"""What the registry's database holds; `migrations` make it, and a test compares the two.

Times are microseconds since 1970 in UTC: the same number in SQLite and in PostgreSQL.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import (
    JSON,
    BigInteger,
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
    Column("kind", String(16), nullable=False),  # user | service | token
    Column("issuer", String(255)),  # with the subject, who a token is of
    Column("subject", String(255)),
    _at("disabled_at", nullable=True),
    _at(),
    Index("uq_principals_identity", "issuer", "subject", unique=True),
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
    _of("created_by", "principals"),
    _at(),
    UniqueConstraint("table_id", "seq"),
    Index(None, "table_id", "content_sha256"),
    Index(None, "uri", postgresql_using="hash"),  # a long one is too large for a tree's page
)

table_moves = Table(  # which snapshot was the current one from when on
    "table_moves",
    metadata,
    Column("table_id", String(64), ForeignKey("tables.id"), primary_key=True),
    Column("number", BigInteger, primary_key=True),
    _of("snapshot_id", "snapshots"),
    _at("at"),
    Index(None, "table_id", "at"),
)

table_tags = Table(
    "table_tags",
    metadata,
    Column("table_id", String(64), ForeignKey("tables.id"), primary_key=True),
    Column("name", String(100), primary_key=True),
    _of("snapshot_id", "snapshots"),
    _at(),
)

runs = Table(
    "runs",
    metadata,
    _id(),
    Column("job_name", String(200), nullable=False),
    Column("status", String(16), nullable=False),  # running success failed aborted lost
    _of("parent_id", "runs", nullable=True),
    _of("principal_id", "principals"),
    Column("metadata", JSON, nullable=False),
    Column("error", Text),
    Column("started_sha256", String(64), nullable=False),  # of what it was started with
    Column("completed_sha256", String(64)),
    Column("heartbeat_interval_s", Integer),
    _at("beat_at", nullable=True),
    _at("due_at", nullable=True),  # lost then, unless it beats; null where it need not
    _at("lost_at", nullable=True),
    _at("finished_at", nullable=True),
    _at(),
    Index(None, "job_name", "created_at"),
    Index(None, "status", "due_at"),
)

run_io = Table(
    "run_io",
    metadata,
    Column("run_id", String(64), ForeignKey("runs.id"), primary_key=True),
    Column("sha256", String(64), primary_key=True),  # of all the rest
    Column("direction", String(8), nullable=False),  # input | output
    # No foreign keys: their check would wait for whoever is writing to the table.
    Column("table_id", String(64)),
    Column("snapshot_id", String(64)),
    Column("uri", String(1024)),
    _at(),
    Index(None, "table_id", "direction"),
)

artifacts = Table(
    "artifacts",
    metadata,
    _id(),
    _of("run_id", "runs"),
    Column("type", String(64), nullable=False),
    Column("uri", String(1024), nullable=False),
    _at(),
    Index(None, "run_id"),
)

event_counter = Table(
    "event_counter",
    metadata,
    Column("id", Integer, primary_key=True),  # there is one row
    Column("last_seq", BigInteger, nullable=False),
    Column("pruned_seq", BigInteger, nullable=False),  # events up to it are not kept any more
)

events = Table(
    "events",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("type", String(100), nullable=False),
    Column("data", JSON, nullable=False),
    Column("principal_id", String(64), nullable=False),
    Column("table_id", String(64)),  # a log: nothing that it tells of has to be there still
    Column("run_id", String(64)),
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
    Column("error_code", String(64)),
    Column("error", Text),
    Column("result", JSON),
    _of("principal_id", "principals"),
    _of("key_id", "api_keys", nullable=True),
    Column("role_ids", JSON),  # that the caller's token gave it; null where a key was used
    Column("request_id", String(200)),
    Column("traceparent", String(64)),  # of the request (W3C Trace Context)
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
    Index(None, "created_at"),
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

uploads = Table(  # that are under way, or whose process has died
    "uploads",
    metadata,
    _id(),
    _of("principal_id", "principals"),
    Column("key_id", String(64)),
    Column("request_id", String(200)),
    _of("location_id", "storage_locations"),
    Column("key", String(1024), nullable=False),
    Column("store_id", String(2048)),  # of an upload in parts, where the store was asked for one
    _at(),
    Index(None, "created_at"),
)

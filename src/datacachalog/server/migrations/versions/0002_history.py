"""Which snapshot was current when, tags, and finding the tables of an object."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    """Makes the tables; until now a snapshot was current from when it was made."""
    op.create_table(
        "table_moves",
        sa.Column("table_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("snapshot_id", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["snapshot_id"], ["snapshots.id"], name=op.f("fk_table_moves_snapshot_id")
        ),
        sa.ForeignKeyConstraint(["table_id"], ["tables.id"], name=op.f("fk_table_moves_table_id")),
        sa.PrimaryKeyConstraint("table_id", "number", name=op.f("pk_table_moves")),
    )
    op.create_index(op.f("ix_table_moves_table_id_at"), "table_moves", ["table_id", "at"])
    op.create_table(
        "table_tags",
        sa.Column("table_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("snapshot_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["snapshot_id"], ["snapshots.id"], name=op.f("fk_table_tags_snapshot_id")
        ),
        sa.ForeignKeyConstraint(["table_id"], ["tables.id"], name=op.f("fk_table_tags_table_id")),
        sa.PrimaryKeyConstraint("table_id", "name", name=op.f("pk_table_tags")),
    )
    op.create_index(op.f("ix_snapshots_uri"), "snapshots", ["uri"], postgresql_using="hash")
    op.execute(
        "INSERT INTO table_moves (table_id, number, snapshot_id, at) "
        "SELECT table_id, seq, id, created_at FROM snapshots"
    )

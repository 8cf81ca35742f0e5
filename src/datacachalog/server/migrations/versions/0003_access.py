"""Principals that are disabled or come with tokens, and tasks that were asked for with a token."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    """Adds columns; a task need not have a key any more."""
    op.add_column("principals", sa.Column("disabled_at", sa.BigInteger(), nullable=True))
    op.add_column("principals", sa.Column("issuer", sa.String(length=255), nullable=True))
    op.add_column("principals", sa.Column("subject", sa.String(length=255), nullable=True))
    op.create_index("uq_principals_identity", "principals", ["issuer", "subject"], unique=True)
    with op.batch_alter_table("tasks") as tasks:
        tasks.alter_column("key_id", existing_type=sa.String(length=64), nullable=True)
        tasks.add_column(sa.Column("role_ids", sa.JSON(), nullable=True))

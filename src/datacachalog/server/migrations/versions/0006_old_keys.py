"""Which idempotency keys are old."""

from __future__ import annotations

from alembic import op

revision, down_revision = "0006", "0005"


def upgrade() -> None:
    """Makes the index."""
    op.create_index(op.f("ix_idempotency_created_at"), "idempotency", ["created_at"])

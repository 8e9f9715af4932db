"""What decides when a job is next: its own columns, and policies of tenants."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add four columns to ``jobs``; make the table ``tenant_policies``."""
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
        jobs.add_column(
            sa.Column("memory_bytes", sa.BigInteger(), nullable=False, server_default="0")
        )
        jobs.add_column(sa.Column("waiting_since", sa.Float(), nullable=True))
        jobs.add_column(sa.Column("not_before", sa.Float(), nullable=False, server_default="0"))
    op.create_table(
        "tenant_policies",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("weight", sa.Float(), nullable=True),
        sa.Column("max_running", sa.Integer(), nullable=True),
        sa.Column("max_waiting", sa.Integer(), nullable=True),
        sa.Column("preemptible", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_tenant_policies")),
    )

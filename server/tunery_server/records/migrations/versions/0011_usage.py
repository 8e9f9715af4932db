"""What was used, by hour, tenant, key and model."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_WHAT = ("tenant_id", "key_id", "model")
_COUNTS = ("requests", "input_tokens", "cached_tokens", "output_tokens", "trained_tokens")


def upgrade() -> None:
    """Make the table ``usage``."""
    op.create_table(
        "usage",
        sa.Column("hour", sa.Integer(), nullable=False, autoincrement=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in _WHAT),
        sa.Column("background", sa.Boolean(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _COUNTS),
        sa.Column("training_s", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("hour", *_WHAT, "background", name=op.f("pk_usage")),
    )
    op.create_index("ix_usage_tenant_hour", "usage", ["tenant_id", "hour"])

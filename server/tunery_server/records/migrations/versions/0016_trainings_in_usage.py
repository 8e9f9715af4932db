"""What trainings take in the usage, whose key asked for a job, and when a key was used last."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

_ADDED = {
    "usage": (sa.Column("energy_j", sa.Float(), nullable=True),),
    "jobs": (
        sa.Column("key_id", sa.String(), nullable=True),
        sa.Column("work", sa.JSON(), nullable=True),
    ),
    "api_keys": (sa.Column("last_used_at", sa.Float(), nullable=True),),
    "tenant_policies": (
        sa.Column("max_adapters", sa.Integer(), nullable=True),
        sa.Column("max_adapter_bytes", sa.BigInteger(), nullable=True),
    ),
}


def upgrade() -> None:
    """Add the columns; what a tenant may keep of adapters can be set for it, too."""
    for table, columns in _ADDED.items():
        for column in columns:
            op.add_column(table, column)

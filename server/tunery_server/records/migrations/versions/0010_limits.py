"""How much a key and a tenant may ask for, and when a key ends."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_LIMITS = ("requests_per_minute", "tokens_per_minute", "concurrent_requests")


def upgrade() -> None:
    """Add columns to ``api_keys`` and ``tenant_policies``."""
    for name in ("api_keys", "tenant_policies"):
        with op.batch_alter_table(name) as table:
            for limit in _LIMITS:
                table.add_column(sa.Column(limit, sa.Integer(), nullable=True))
    with op.batch_alter_table("api_keys") as keys:
        keys.add_column(sa.Column("expires_at", sa.Float(), nullable=True))

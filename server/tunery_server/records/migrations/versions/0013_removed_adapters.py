"""When an adapter was deleted, and when its files went."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add both times to the table ``adapters``."""
    op.add_column("adapters", sa.Column("retired_at", sa.Float(), nullable=True))
    op.add_column("adapters", sa.Column("removed_at", sa.Float(), nullable=True))

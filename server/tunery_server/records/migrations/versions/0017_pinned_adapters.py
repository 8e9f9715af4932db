"""Which adapters stay in the engine."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add ``pinned`` to the table ``adapters``."""
    op.add_column(
        "adapters", sa.Column("pinned", sa.Boolean(), nullable=False, server_default=sa.false())
    )

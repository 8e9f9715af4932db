"""What a training file holds, how a job selects its result, and what it goes on from."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add columns to ``files``, ``jobs`` and ``adapters``."""
    op.add_column("files", sa.Column("format", sa.String(), nullable=True))
    op.add_column("jobs", sa.Column("training", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("jobs", sa.Column("parent", sa.String(), nullable=True))
    op.add_column("adapters", sa.Column("parent", sa.String(), nullable=True))

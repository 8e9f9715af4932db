"""The longest line of a training file, which bounds the memory that training takes."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add a column to ``files``."""
    op.add_column("files", sa.Column("longest_line", sa.Integer(), nullable=True))

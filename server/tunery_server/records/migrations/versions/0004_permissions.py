"""Who else may use an adapter, and the integrations that a job named."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table ``permissions`` and the column ``jobs.integrations``."""
    op.create_table(
        "permissions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_permissions")),
        sa.UniqueConstraint("model", "project_id", name=op.f("uq_permissions_model")),
    )
    op.add_column("jobs", sa.Column("integrations", sa.JSON(none_as_null=True), nullable=True))

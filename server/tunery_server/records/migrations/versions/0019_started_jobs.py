"""Jobs that were claimed lately are found without looking at all that wait."""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Index ``jobs.started_at``."""
    op.create_index(op.f("ix_jobs_started_at"), "jobs", ["started_at"])

"""Jobs that ended lately are found without looking at all of them."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Index ``jobs.finished_at``."""
    op.create_index(op.f("ix_jobs_finished_at"), "jobs", ["finished_at"])

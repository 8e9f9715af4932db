"""What the record tells of jobs in numbers: who waits, what was claimed, what has ended."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, or_, select

from tunery_server.records.database import Database
from tunery_server.records.rows import HELD, WAITING
from tunery_server.records.tables import jobs, usage
from tunery_server.records.usage_rows import HOUR_S


@dataclass(frozen=True, slots=True)
class Standing:
    """How many of a tenant's jobs are in a state that is not their last."""

    tenant_id: str
    status: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A job's last claim, and its end if it has ended. Times are Unix seconds."""

    job_id: str
    tenant_id: str
    attempt: int
    status: str
    started_at: float | None
    finished_at: float | None
    waited_s: float | None
    """For a worker, until that claim, earlier runs and pauses left out."""


@dataclass(frozen=True, slots=True)
class Training:
    """What a tenant's trainers did within an hour, which begins at ``hour``, in Unix seconds."""

    hour: int
    tenant_id: str
    tokens: int = 0
    seconds: float = 0.0
    joules: float = 0.0
    """0 where no device counts them."""


class JobNumbers:
    """Of all tenants. Blocking."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def standings(self) -> tuple[Standing, ...]:
        """Jobs that have not ended."""
        query = (
            select(jobs.c.tenant_id, jobs.c.status, func.count())
            .where(_unfinished())
            .group_by(jobs.c.tenant_id, jobs.c.status)
        )
        with self._database.reading() as connection:
            return tuple(Standing(*row) for row in connection.execute(query))

    def courses(self, since: float) -> tuple[Course, ...]:
        """Jobs that have not ended, and those that ended later than ``since``."""
        waiting_since = func.coalesce(jobs.c.waiting_since, jobs.c.created_at)
        query = select(
            jobs.c.id.label("job_id"),
            jobs.c.tenant_id,
            jobs.c.attempt,
            jobs.c.status,
            jobs.c.started_at,
            jobs.c.finished_at,
            (jobs.c.started_at - waiting_since).label("waited_s"),
        ).where(or_(_unfinished(), jobs.c.finished_at > since))
        with self._database.reading() as connection:
            return tuple(Course(**row) for row in connection.execute(query).mappings())

    def trainings(self, since: float) -> tuple[Training, ...]:
        """By hour, of those that were not over at ``since``."""
        taken = (usage.c.trained_tokens, usage.c.training_s, func.coalesce(usage.c.energy_j, 0))
        query = (
            select(usage.c.hour, usage.c.tenant_id, *map(func.sum, taken))
            .where(usage.c.hour > since - HOUR_S, usage.c.training_s > 0)
            .group_by(usage.c.hour, usage.c.tenant_id)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple(
            Training(hour, tenant, int(tokens), float(seconds), float(joules))
            for hour, tenant, tokens, seconds, joules in rows
        )


def _unfinished() -> ColumnElement[bool]:
    return jobs.c.status.in_(sorted(HELD | WAITING))

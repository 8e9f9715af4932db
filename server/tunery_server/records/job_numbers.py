"""What the record tells of jobs in numbers: who waits, what was claimed, what has ended."""

from dataclasses import dataclass

from sqlalchemy import func, select

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


@dataclass(frozen=True, slots=True)
class Claim:
    """The last time that a worker took a job."""

    job_id: str
    attempt: int
    tenant_id: str
    waited_s: float
    """For that worker, earlier runs and pauses left out."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How many of a tenant's jobs have come to that last status, lately or a while ago."""

    late: bool
    """Later than the second of the two moments that were asked for."""
    tenant_id: str
    status: str
    count: int


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
            .where(jobs.c.status.in_(sorted(HELD | WAITING)))
            .group_by(jobs.c.tenant_id, jobs.c.status)
        )
        with self._database.reading() as connection:
            return tuple(Standing(*row) for row in connection.execute(query))

    def claims(self, since: float) -> tuple[Claim, ...]:
        """Those later than ``since``, in Unix seconds."""
        waiting_since = func.coalesce(jobs.c.waiting_since, jobs.c.created_at)
        waited_s = jobs.c.started_at - waiting_since
        query = select(jobs.c.id, jobs.c.attempt, jobs.c.tenant_id, waited_s)
        with self._database.reading() as connection:
            rows = connection.execute(query.where(jobs.c.started_at > since))
            return tuple(Claim(*row) for row in rows)

    def ended(self, since: float, later: float) -> tuple[Ended, ...]:
        """Jobs that ended after ``since``, those apart that ended after ``later``, Unix seconds."""
        # By the moment first: SQLite would else look at all jobs, in the order of their tenants.
        groups = ((jobs.c.finished_at > later).label("late"), jobs.c.tenant_id, jobs.c.status)
        query = select(*groups, func.count()).where(jobs.c.finished_at > since)
        with self._database.reading() as connection:
            rows = connection.execute(query.group_by(*groups))
            return tuple(Ended(*row) for row in rows)

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

"""What a job has taken, counted for its tenant in the transaction that records it.

A trainer tells with every step what its job has taken up to there, and after a checkpoint goes on
from the figure in it. So what is new is what exceeds the figure that was counted last: a step that
a lost attempt was counted for, and the next one takes again, adds nothing; one that nobody was told
of is part of the next figure.
"""

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, update

from tunery_server.records.rows import Job
from tunery_server.records.tables import jobs
from tunery_server.records.usage import add_usage
from tunery_server.records.usage_rows import HOUR_S, Amounts, UsageKey, added


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a job has taken, over all its attempts."""

    trained_tokens: int = 0
    training_s: float = 0.0
    energy_j: float | None = None
    """None where no device has a counter."""


def counted(job: Job) -> Work:
    """What was counted of a job so far."""
    return Work(**(job.work or {}))


def count(connection: Connection, job: Job, work: Work, *, model: str, now: float) -> None:
    """Add what is new of ``work`` to the job and to its tenant's usage of ``model``.

    The transaction has to hold the job's row. ``now`` is Unix time.
    """
    known = counted(job)
    new = Amounts(
        trained_tokens=max(0, work.trained_tokens - known.trained_tokens),
        training_s=max(0.0, work.training_s - known.training_s),
        energy_j=_more(work.energy_j, known.energy_j),
    )
    total = Work(
        trained_tokens=known.trained_tokens + new.trained_tokens,
        training_s=known.training_s + new.training_s,
        energy_j=added(known.energy_j, new.energy_j),
    )
    if total == known:
        return
    connection.execute(update(jobs).where(jobs.c.id == job.id).values(work=asdict(total)))
    key = UsageKey(
        hour=int(now // HOUR_S) * HOUR_S,
        tenant_id=job.tenant_id,
        key_id=job.key_id or "",
        model=model,
    )
    add_usage(connection, [(key, new)])


def _more(joules: float | None, known: float | None) -> float | None:
    return None if joules is None else max(0.0, joules - (known or 0.0))

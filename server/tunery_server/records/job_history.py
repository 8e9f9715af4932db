"""What happened to a job: its events and its checkpoints."""

from typing import Any

from sqlalchemy import Table, func, insert, select

from tunery_server.records.database import Database
from tunery_server.records.paging import unknown_cursor
from tunery_server.records.rows import HELD, JobCheckpoint, JobEvent, Page
from tunery_server.records.tables import job_checkpoints, job_events, jobs


class JobHistory:
    """Events and checkpoints, newest first. The caller has checked whose job it is."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_event(
        self,
        job_id: str,
        *,
        event_id: str,
        created_at: float,
        message: str,
        level: str = "info",
        type: str = "message",
        data: dict[str, Any] | None = None,
        attempt: int | None = None,
    ) -> bool:
        """Append an event; its sequence number is one more than the last.

        With ``attempt`` given, only while the job is in that attempt's hands; returns whether the
        event was written.
        """
        held = select(jobs.c.id).where(
            jobs.c.id == job_id, jobs.c.status.in_(HELD), jobs.c.attempt == attempt
        )
        newest = select(func.coalesce(func.max(job_events.c.sequence), 0)).where(
            job_events.c.job_id == job_id
        )
        with self._database.writing() as connection:
            if attempt is not None and connection.execute(held).first() is None:
                return False
            values = {
                "id": event_id,
                "job_id": job_id,
                "sequence": connection.execute(newest).scalar_one() + 1,
                "created_at": created_at,
                "level": level,
                "type": type,
                "message": message,
                "data": data,
            }
            connection.execute(insert(job_events).values(values))
        return True

    def metrics(self, job_id: str) -> tuple[dict[str, Any], ...]:
        """The data of every metrics event, oldest first."""
        query = (
            select(job_events.c.data)
            .where(job_events.c.job_id == job_id, job_events.c.type == "metrics")
            .order_by(job_events.c.sequence)
        )
        with self._database.reading() as connection:
            return tuple(connection.execute(query).scalars())

    def events(self, job_id: str, *, after: str | None, limit: int) -> Page[JobEvent]:
        """One page; InvalidRequest when ``after`` is not an event of this job."""
        rows = self._newest(job_events, "sequence", job_id, after, limit)
        return Page(tuple(JobEvent(**row) for row in rows[:limit]), has_more=len(rows) > limit)

    def add_checkpoint(self, checkpoint: JobCheckpoint) -> None:
        """Record a checkpoint; a repeated step of a later attempt changes nothing."""
        same = select(job_checkpoints.c.id).where(
            job_checkpoints.c.job_id == checkpoint.job_id,
            job_checkpoints.c.step == checkpoint.step,
        )
        values = {
            "id": checkpoint.id,
            "job_id": checkpoint.job_id,
            "step": checkpoint.step,
            "model": checkpoint.model,
            "metrics": checkpoint.metrics,
            "created_at": checkpoint.created_at,
        }
        with self._database.writing() as connection:
            if connection.execute(same).first() is None:
                connection.execute(insert(job_checkpoints).values(values))

    def checkpoints(self, job_id: str, *, after: str | None, limit: int) -> Page[JobCheckpoint]:
        """One page; InvalidRequest when ``after`` is not a checkpoint of this job."""
        rows = self._newest(job_checkpoints, "step", job_id, after, limit)
        return Page(tuple(JobCheckpoint(**row) for row in rows[:limit]), has_more=len(rows) > limit)

    def _newest(
        self, table: Table, order: str, job_id: str, after: str | None, limit: int
    ) -> list[dict[str, Any]]:
        query = select(table).where(table.c.job_id == job_id)
        with self._database.reading() as connection:
            if after is not None:
                cursor = connection.execute(
                    query.with_only_columns(table.c[order]).where(table.c.id == after)
                ).one_or_none()
                if cursor is None:
                    raise unknown_cursor()
                query = query.where(table.c[order] < cursor[0])
            rows = connection.execute(query.order_by(table.c[order].desc()).limit(limit + 1))
            return [dict(row) for row in rows.mappings()]

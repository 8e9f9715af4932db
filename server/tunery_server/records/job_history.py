"""What happened to a job: its events and its checkpoints."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, ScalarSelect, Select, Table, func, insert, select

from tunery_server.records.adapters import register
from tunery_server.records.database import Database
from tunery_server.records.paging import unknown_cursor
from tunery_server.records.rows import HELD, Adapter, JobCheckpoint, JobEvent, JobStatus, Page
from tunery_server.records.tables import job_checkpoints, job_events, jobs


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a job is: its state, and the sequence number of its newest event, 0 without any."""

    status: JobStatus
    newest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """An event before it has its place in a job's history."""

    id: str
    created_at: float
    message: str
    level: str = "info"
    type: str = "message"
    data: dict[str, Any] | None = None


def append(connection: Connection, job_id: str, note: Note) -> None:
    """Add an event; its sequence number is one more than the last.

    The transaction has to hold the job's row, so that no other one takes the same number.
    """
    newest = connection.execute(select(_newest_of(job_id))).scalar_one()
    values = {
        "id": note.id,
        "job_id": job_id,
        "sequence": newest + 1,
        "created_at": note.created_at,
        "level": note.level,
        "type": note.type,
        "message": note.message,
        "data": note.data,
    }
    connection.execute(insert(job_events).values(values))


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
        """Append an event; whether it was written.

        With ``attempt`` given, only while the job is in that attempt's hands.
        """
        row = _held(job_id, attempt)
        note = Note(
            id=event_id, created_at=created_at, message=message, level=level, type=type, data=data
        )
        with self._database.writing() as connection:
            if connection.execute(row).first() is None:
                return False
            append(connection, job_id, note)
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

    def sequence(self, job_id: str, event_id: str) -> int | None:
        """The sequence number of an event of this job; None when it is not one."""
        query = select(job_events.c.sequence).where(
            job_events.c.job_id == job_id, job_events.c.id == event_id
        )
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one_or_none()

    def events_after(self, job_id: str, sequence: int, *, limit: int) -> tuple[JobEvent, ...]:
        """At most ``limit`` events that come after ``sequence``, oldest first."""
        query = (
            select(job_events)
            .where(job_events.c.job_id == job_id, job_events.c.sequence > sequence)
            .order_by(job_events.c.sequence)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return tuple(JobEvent(**row) for row in connection.execute(query).mappings())

    def standings(self, job_ids: Collection[str]) -> dict[str, Standing]:
        """How far each of these jobs is, at one moment; a job that is not there is left out."""
        query = select(jobs.c.id, jobs.c.status, _newest_of(jobs.c.id)).where(
            jobs.c.id.in_(job_ids)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return {job_id: Standing(JobStatus(status), newest) for job_id, status, newest in rows}

    def add_checkpoint(self, checkpoint: JobCheckpoint, adapter: Adapter, *, attempt: int) -> bool:
        """Record a checkpoint and register its adapter, if the job is in that attempt's hands.

        A repeated step of a later attempt changes nothing. Returns whether the job was.
        """
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
            if connection.execute(_held(checkpoint.job_id, attempt)).first() is None:
                return False
            register(connection, adapter)
            if connection.execute(same).first() is None:
                connection.execute(insert(job_checkpoints).values(values))
        return True

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


def _held(job_id: str, attempt: int | None) -> Select[tuple[str]]:
    """The job's row, held until the transaction ends; with an attempt, only if it has the job."""
    row = select(jobs.c.id).where(jobs.c.id == job_id).with_for_update()
    if attempt is not None:
        row = row.where(jobs.c.status.in_(HELD), jobs.c.attempt == attempt)
    return row


def _newest_of(job_id: str | Column[str]) -> ScalarSelect[int]:
    newest = func.coalesce(func.max(job_events.c.sequence), 0)
    return select(newest).where(job_events.c.job_id == job_id).scalar_subquery()

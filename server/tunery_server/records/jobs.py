"""Job records. One method changes a job, and it compares before it sets."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from functools import partial
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Exists,
    RowMapping,
    case,
    exists,
    func,
    insert,
    null,
    select,
    update,
)

from tunery_server.records import audit
from tunery_server.records.adapters import register
from tunery_server.records.audit import Deed
from tunery_server.records.database import Database
from tunery_server.records.idempotency import Submission, add_once, made_by, unchecked
from tunery_server.records.job_history import Note, append
from tunery_server.records.known_tenants import archived
from tunery_server.records.paging import all_of, page
from tunery_server.records.quota import require_turn
from tunery_server.records.rows import HELD, Adapter, EventType, File, Job, JobStatus, Page
from tunery_server.records.tables import files, jobs
from tunery_server.records.webhooks import add_event
from tunery_server.records.work import Work, count

NO_NOTES: Mapping[JobStatus, Note] = MappingProxyType({})
NO_FILTER: Mapping[str, str] = MappingProxyType({})

_ENDS = {
    JobStatus.SUCCEEDED: EventType.JOB_SUCCEEDED,
    JobStatus.FAILED: EventType.JOB_FAILED,
    JobStatus.CANCELLED: EventType.JOB_CANCELLED,
}

_DEEDS = {
    JobStatus.CANCELLED: "fine_tuning.job.cancelled",
    JobStatus.PAUSING: "fine_tuning.job.paused",
    JobStatus.PAUSED: "fine_tuning.job.paused",
    JobStatus.QUEUED: "fine_tuning.job.resumed",
    JobStatus.RUNNING: "fine_tuning.job.resumed",
}
"""What somebody did who moved a job to a state."""

_MOMENTS = frozenset({"started_at", "finished_at"})


class JobRecords:
    """Jobs of all tenants; look-ups for a client name the tenant, those for a worker do not."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        job: Job,
        submission: Submission | None = None,
        max_waiting: int | None = None,
        notes: Collection[Note] = (),
    ) -> str:
        """Store a new job and the beginning of its history.

        Returns the id of the job that stands, which a repeat was the first time.

        Raises QuotaExceeded when ``max_waiting`` of the tenant's jobs wait already.
        """
        statement, check = insert(jobs).values(asdict(job)), unchecked
        if max_waiting is not None:
            check = partial(require_turn, tenant_id=job.tenant_id, max_waiting=max_waiting)

        def tell(connection: Connection) -> None:
            audit.note(connection, Deed("fine_tuning.job.created", job.tenant_id, job.id))
            for note in notes:
                append(connection, job.id, note)

        return add_once(self._database, statement, job.id, submission, check, tell)

    def made_by(self, submission: Submission | None) -> Job | None:
        """The job that an earlier sending of the same request made."""
        job_id = made_by(self._database, submission)
        return self.get_any(job_id) if job_id is not None else None

    def get(self, tenant_id: str, job_id: str) -> Job | None:
        """The job, or None when this tenant has none with that id."""
        job = self.get_any(job_id)
        return job if job is not None and job.tenant_id == tenant_id else None

    def get_any(self, job_id: str) -> Job | None:
        """The job, whoever owns it."""
        with self._database.reading() as connection:
            row = (
                connection.execute(all_of(jobs).where(jobs.c.id == job_id)).mappings().one_or_none()
            )
        return _job(row) if row else None

    def list(
        self,
        tenant_id: str,
        *,
        metadata: Mapping[str, str] | None = NO_FILTER,
        after: str | None = None,
        limit: int = 20,
    ) -> Page[Job]:
        """One page, newest first; InvalidRequest when ``after`` is not one of this tenant's.

        Of the jobs with all of ``metadata``, or of those without any when it is None.
        """
        query = all_of(jobs).where(jobs.c.tenant_id == tenant_id)
        if metadata is None:
            query = query.where(jobs.c.metadata.is_(null()))
        for key, value in (metadata or {}).items():
            query = query.where(self._in_metadata(key, value))
        with self._database.reading() as connection:
            return page(
                connection,
                query,
                jobs,
                "id",
                after=after,
                limit=limit,
                ascending=False,
                build=_job,
            )

    def with_status(self, statuses: Collection[JobStatus]) -> tuple[Job, ...]:
        """Every job in one of these states, oldest first."""
        query = all_of(jobs).where(jobs.c.status.in_(statuses)).order_by(jobs.c.created_at)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(_job(row) for row in rows)

    def succeeded(self, model: str, *, limit: int) -> tuple[Job, ...]:
        """The last jobs that made an adapter of this base model, whosever, newest first."""
        query = (
            all_of(jobs)
            .where(jobs.c.status == JobStatus.SUCCEEDED, jobs.c.model == model)
            .order_by(jobs.c.finished_at.desc())
            .limit(limit)
        )
        with self._database.reading() as connection:
            return tuple(_job(row) for row in connection.execute(query).mappings())

    def startable_ids(self) -> tuple[str, ...]:
        """The ids of all jobs that wait for a worker, oldest first."""
        query = select(jobs.c.id).where(jobs.c.status == JobStatus.QUEUED, _of_active_tenant())
        query = query.order_by(jobs.c.created_at)
        with self._database.reading() as connection:
            return tuple(connection.execute(query).scalars())

    def using_file(self, tenant_id: str, file_id: str, statuses: Collection[JobStatus]) -> bool:
        """True when a job in one of these states reads that file."""
        query = (
            select(func.count())
            .select_from(jobs)
            .where(
                jobs.c.tenant_id == tenant_id,
                jobs.c.status.in_(statuses),
                (jobs.c.training_file == file_id) | (jobs.c.validation_file == file_id),
            )
        )
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one() > 0

    def start(self, job: Job, *, now: float) -> Job | None:
        """Begin the next attempt at a job that waits; None when it must not be started."""
        values = {
            "status": JobStatus.RUNNING,
            "attempt": job.attempt + 1,
            "started_at": now,
        }
        with self._database.writing() as connection:
            active = connection.execute(select(_of_active_tenant()).where(jobs.c.id == job.id))
            if not active.scalar():
                return None
            return _changed(
                connection, job.id, {JobStatus.QUEUED}, job.attempt, lambda _: None, values
            )

    def change(
        self,
        job_id: str,
        *,
        allowed: Collection[JobStatus],
        in_attempt: int | None = None,
        note: Note | None = None,
        **values: Any,
    ) -> Job | None:
        """Set ``values`` if the job is in an ``allowed`` state and, when given, in that attempt.

        Returns the job as it is now, or None when the condition did not hold and nothing changed.
        A final state is written together with the event that tells of it. With ``note`` the job's
        history tells of the change from the same moment on. Whatever a clock says, no job ends
        before it began, nor begins before it was made.
        """
        with self._database.writing() as connection:
            return _changed(connection, job_id, allowed, in_attempt, lambda _: note, values)

    def move(
        self,
        job_id: str,
        moves: Mapping[JobStatus, JobStatus],
        *,
        in_attempt: int | None = None,
        notes: Mapping[JobStatus, Note] = NO_NOTES,
        **values: Any,
    ) -> Job | None:
        """As :meth:`change`, to the state that ``moves`` names for the one that the job is in.

        ``notes`` has what the history tells, by the state that the job comes to.
        """
        status = case(dict(moves), value=jobs.c.status)
        with self._database.writing() as connection:
            return _changed(
                connection, job_id, moves, in_attempt, notes.get, {"status": status, **values}
            )

    def advance(
        self,
        job_id: str,
        *,
        in_attempt: int,
        work: Work,
        model: str,
        now: float,
        note: Note | None = None,
        **values: Any,
    ) -> Job | None:
        """As :meth:`change` for an attempt that has the job; what it took is counted, once.

        ``model`` is the adapter that it trains, ``now`` Unix time.
        """
        with self._database.writing() as connection:
            job = _changed(connection, job_id, HELD, in_attempt, lambda _: note, values)
            if job is not None:
                count(connection, job, work, model=model, now=now)
            return job

    def succeed(
        self, job_id: str, *, in_attempt: int, adapter: Adapter, results: File, note: Note
    ) -> Job | None:
        """Write the final state of an attempt that did its work, and with it what it made.

        Adapter and result file are the tenant's from the moment on at which the job has succeeded,
        or never. None, with nothing written, when the job is no longer that attempt's.
        """
        values = {
            "status": JobStatus.SUCCEEDED,
            "finished_at": note.created_at,
            "estimated_finish": None,
            "fine_tuned_model": adapter.model,
            "result_files": [results.id],
        }
        with self._database.writing() as connection:
            job = _changed(connection, job_id, HELD, in_attempt, lambda _: note, values)
            if job is not None:
                register(connection, adapter)
                connection.execute(insert(files).values(asdict(results)))
            return job

    def count_by_status(self) -> dict[str, int]:
        """How many jobs are in each state, over all tenants; a state without jobs is there, too."""
        query = select(jobs.c.status, func.count()).group_by(jobs.c.status)
        with self._database.reading() as connection:
            counted = {row.status: row[1] for row in connection.execute(query)}
        return {str(status): counted.get(status, 0) for status in JobStatus}

    def _in_metadata(self, key: str, value: str) -> Exists:
        """A JSON path would not do: its syntax has no room for every key that a client may use."""
        each = func.json_each if self._database.dialect == "sqlite" else func.json_each_text
        pairs = each(jobs.c.metadata).table_valued("key", "value")
        return exists().where(pairs.c.key == key, pairs.c.value == value)


def _of_active_tenant() -> ColumnElement[bool]:
    return jobs.c.tenant_id.not_in(archived())


def _no_earlier(moment: float) -> ColumnElement[float]:
    """A moment, or that of the last thing known of a job if it is later."""
    known = func.coalesce(jobs.c.started_at, jobs.c.created_at)
    return case((known > moment, known), else_=moment)


def _changed(
    connection: Connection,
    job_id: str,
    allowed: Collection[JobStatus],
    in_attempt: int | None,
    note_on: Callable[[JobStatus], Note | None],
    values: Mapping[str, Any],
) -> Job | None:
    condition = [jobs.c.id == job_id, jobs.c.status.in_(allowed)]
    if in_attempt is not None:
        condition.append(jobs.c.attempt == in_attempt)
    kept = {name: _no_earlier(values[name]) for name in _MOMENTS & values.keys()}
    changed = connection.execute(update(jobs).where(*condition).values(**{**values, **kept}))
    if changed.rowcount != 1:
        return None
    row = connection.execute(all_of(jobs).where(jobs.c.id == job_id)).mappings().one()
    job = _job(row)
    if "status" in values and job.status in _ENDS:
        told_at = values.get("finished_at") or job.created_at
        add_event(connection, job.tenant_id, _ENDS[job.status], job.id, told_at)
    if "status" in values and job.status in _DEEDS:
        audit.note(connection, Deed(_DEEDS[job.status], job.tenant_id, job.id))
    note = note_on(job.status)
    if note is not None:
        append(connection, job_id, note)
    return job


def _job(row: RowMapping) -> Job:
    return Job(
        **{
            **row,
            "status": JobStatus(row["status"]),
            "result_files": tuple(row["result_files"]),
        }
    )

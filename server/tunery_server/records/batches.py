"""Batch records. Every change compares before it sets."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from tunery_server.records.audit import Deed, note, noting
from tunery_server.records.database import Database
from tunery_server.records.idempotency import Submission, add_once, made_by
from tunery_server.records.known_tenants import archived
from tunery_server.records.paging import all_of, page
from tunery_server.records.rows import Batch, BatchStatus, EventType, File, Page
from tunery_server.records.tables import batches, files
from tunery_server.records.webhooks import add_event

_ENDS = {
    BatchStatus.COMPLETED: EventType.BATCH_COMPLETED,
    BatchStatus.FAILED: EventType.BATCH_FAILED,
    BatchStatus.EXPIRED: EventType.BATCH_EXPIRED,
    BatchStatus.CANCELLED: EventType.BATCH_CANCELLED,
}


class BatchRecords:
    """Batches of all tenants; look-ups for a client name the tenant, those for a runner do not."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, batch: Batch, submission: Submission | None = None) -> str:
        """Store a new batch; the id of the one that stands, which a repeat was the first time."""
        values = insert(batches).values(asdict(batch))
        deed = Deed("batch.created", batch.tenant_id, batch.id)
        return add_once(self._database, values, batch.id, submission, then=noting(deed))

    def made_by(self, submission: Submission | None) -> Batch | None:
        """The batch that an earlier sending of the same request made."""
        batch_id = made_by(self._database, submission)
        return self.get_any(batch_id) if batch_id is not None else None

    def get(self, tenant_id: str, batch_id: str) -> Batch | None:
        """The batch, or None when this tenant has none with that id."""
        batch = self.get_any(batch_id)
        return batch if batch is not None and batch.tenant_id == tenant_id else None

    def get_any(self, batch_id: str) -> Batch | None:
        """The batch, whoever owns it."""
        with self._database.reading() as connection:
            return _one(connection, batch_id)

    def list(self, tenant_id: str, *, after: str | None, limit: int) -> Page[Batch]:
        """One page, newest first; InvalidRequest when ``after`` is not one of this tenant's."""
        query = all_of(batches).where(batches.c.tenant_id == tenant_id)
        with self._database.reading() as connection:
            return page(
                connection,
                query,
                batches,
                "id",
                after=after,
                limit=limit,
                ascending=False,
                build=_batch,
            )

    def unleased(self, statuses: Collection[BatchStatus], *, now: float) -> tuple[Batch, ...]:
        """Every batch in one of these states that nobody holds, oldest first.

        None of a tenant that is archived.
        """
        query = (
            all_of(batches)
            .where(batches.c.status.in_(statuses), batches.c.leased_until <= now)
            .where(batches.c.tenant_id.not_in(archived()))
            .order_by(batches.c.created_at)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(_batch(row) for row in rows)

    def ids(self, statuses: Collection[BatchStatus]) -> frozenset[str]:
        """Ids of all batches in one of these states."""
        query = select(batches.c.id).where(batches.c.status.in_(statuses))
        with self._database.reading() as connection:
            return frozenset(connection.execute(query).scalars())

    def using_file(
        self, tenant_id: str, file_id: str, *, statuses: Collection[BatchStatus]
    ) -> bool:
        """True when a batch in one of these states reads that file."""
        query = select(func.count()).where(
            batches.c.tenant_id == tenant_id,
            batches.c.status.in_(statuses),
            batches.c.input_file == file_id,
        )
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one() > 0

    def claim(self, seen: Batch, *, leased_until: float) -> Batch | None:
        """Begin a new attempt; None when the batch was claimed or has changed since it was seen."""
        return self.change(
            seen.id,
            allowed={seen.status},
            in_attempt=seen.attempt,
            attempt=seen.attempt + 1,
            leased_until=leased_until,
        )

    def change(
        self,
        batch_id: str,
        *,
        allowed: Collection[BatchStatus],
        in_attempt: int | None = None,
        **values: Any,
    ) -> Batch | None:
        """Set ``values`` if the batch is in an ``allowed`` state and, when given, in that attempt.

        Returns the batch as it is now, or None when the condition did not hold and nothing changed.
        """
        with self._database.writing() as connection:
            batch = _set(connection, batch_id, allowed, in_attempt, values)
            if batch is not None and values.get("status") is BatchStatus.CANCELLING:
                note(connection, Deed("batch.cancelled", batch.tenant_id, batch.id))
            return batch

    def finish(
        self,
        batch_id: str,
        status: BatchStatus,
        *,
        at: float,
        allowed: Collection[BatchStatus],
        in_attempt: int,
        published: Sequence[File] = (),
        **values: Any,
    ) -> Batch | None:
        """As :meth:`change`, to a final state and together with all that belongs to it.

        That is its time, the event that tells of it, and the files that were ``published``, whose
        bytes are in place. No batch ends but through here.
        """
        values |= {"status": status, f"{status}_at": at}
        with self._database.writing() as connection:
            ended = _set(connection, batch_id, allowed, in_attempt, values)
            if ended is not None:
                for file in published:
                    connection.execute(insert(files).values(asdict(file)))
                add_event(connection, ended.tenant_id, _ENDS[status], ended.id, at)
            return ended

    def count_by_status(self) -> dict[str, int]:
        """How many are in each state, over all tenants; a state without batches is there, too."""
        query = select(batches.c.status, func.count()).group_by(batches.c.status)
        with self._database.reading() as connection:
            counted = {row.status: row[1] for row in connection.execute(query)}
        return {str(status): counted.get(status, 0) for status in BatchStatus}


def _set(
    connection: Connection,
    batch_id: str,
    allowed: Collection[BatchStatus],
    in_attempt: int | None,
    values: dict[str, Any],
) -> Batch | None:
    condition = [batches.c.id == batch_id, batches.c.status.in_(allowed)]
    if in_attempt is not None:
        condition.append(batches.c.attempt == in_attempt)
    changed = connection.execute(update(batches).where(*condition).values(**values))
    return _one(connection, batch_id) if changed.rowcount == 1 else None


def _one(connection: Connection, batch_id: str) -> Batch | None:
    query = all_of(batches).where(batches.c.id == batch_id)
    row = connection.execute(query).mappings().one_or_none()
    return _batch(row) if row else None


def _batch(row: RowMapping) -> Batch:
    return Batch(**{**row, "status": BatchStatus(row["status"]), "errors": tuple(row["errors"])})

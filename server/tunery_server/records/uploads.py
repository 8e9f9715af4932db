"""Records of uploads in parts. An upload ends once: each change asks whether it is pending."""

from collections.abc import Callable, Collection
from dataclasses import asdict

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from tunery_server.records.audit import Deed, note
from tunery_server.records.database import Database
from tunery_server.records.idempotency import Submission, add_once
from tunery_server.records.paging import all_of
from tunery_server.records.quota import Quota, require_place, require_room
from tunery_server.records.rows import File, Upload, UploadPart, UploadStatus
from tunery_server.records.tables import files, upload_parts, uploads

CheckPart = Callable[[int, int], None]
"""Takes how many parts there are and how many bytes they hold with this one; raises to refuse."""


class UploadRecords:
    """Uploads of all tenants; a look-up for a client names the tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, upload: Upload, submission: Submission | None, quota: Quota) -> str:
        """Store a new upload; returns the id of the one that stands, which a repeat was first.

        Its bytes count from here on. Raises QuotaExceeded.
        """

        def check(connection: Connection) -> None:
            require_place(connection, upload.tenant_id, quota)
            require_room(connection, upload.tenant_id, quota, bytes=upload.bytes)

        statement = insert(uploads).values(asdict(upload))
        return add_once(self._database, statement, upload.id, submission, check)

    def get(self, tenant_id: str, upload_id: str) -> Upload | None:
        """The upload, or None when this tenant has none with that id."""
        query = all_of(uploads).where(uploads.c.id == upload_id, uploads.c.tenant_id == tenant_id)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return _upload(row) if row else None

    def add_part(self, part: UploadPart, check: CheckPart) -> bool:
        """Store a part; False when the upload has ended. What ``check`` raises, nothing is stored.

        Equal parts hold their bytes once.
        """
        with self._database.writing() as connection:
            if not _still_pending(connection, part.upload_id):
                return False
            check(_count(connection, part.upload_id), _held_bytes(connection, part) + part.bytes)
            connection.execute(insert(upload_parts).values(asdict(part)))
        return True

    def parts(self, upload_id: str) -> tuple[UploadPart, ...]:
        """What a pending upload has so far; that of one that has ended is forgotten."""
        query = select(upload_parts).where(upload_parts.c.upload_id == upload_id)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(UploadPart(**row) for row in rows)

    def complete(self, upload_id: str, part_ids: tuple[str, ...], file: File) -> str | None:
        """End a pending upload with its file, whose bytes are in place.

        Returns the id of the file that stands: another one when the upload was completed before.
        None when it has ended without one.
        """
        values: dict[str, object] = {
            "status": UploadStatus.COMPLETED,
            "file_id": file.id,
            "part_ids": part_ids,
        }
        with self._database.writing() as connection:
            if not _end(connection, upload_id, values):
                standing = select(uploads.c.file_id).where(uploads.c.id == upload_id)
                return connection.execute(standing).scalar_one_or_none()
            connection.execute(insert(files).values(asdict(file)))
            note(connection, Deed("file.created", file.tenant_id, file.id))
        return file.id

    def end(self, upload_id: str, status: UploadStatus) -> bool:
        """End a pending upload without a file; False when it had ended."""
        with self._database.writing() as connection:
            return _end(connection, upload_id, {"status": status})

    def overdue(self, now: float) -> tuple[Upload, ...]:
        """Pending uploads of all tenants whose time is over."""
        query = all_of(uploads).where(
            uploads.c.status == UploadStatus.PENDING, uploads.c.expires_at <= now
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(_upload(row) for row in rows)

    def pending(self, upload_ids: Collection[str]) -> frozenset[str]:
        """Those of the ids whose upload is pending, whoever owns it."""
        query = select(uploads.c.id).where(
            uploads.c.id.in_(upload_ids), uploads.c.status == UploadStatus.PENDING
        )
        with self._database.reading() as connection:
            return frozenset(connection.execute(query).scalars())

    def forget_ended(self, before: float) -> None:
        """Drop uploads that have ended and whose time was over before a moment."""
        change = delete(uploads).where(
            uploads.c.status != UploadStatus.PENDING, uploads.c.expires_at < before
        )
        with self._database.writing() as connection:
            connection.execute(change)


def _still_pending(connection: Connection, upload_id: str) -> bool:
    query = select(uploads.c.id).where(
        uploads.c.id == upload_id, uploads.c.status == UploadStatus.PENDING
    )
    return connection.execute(query.with_for_update()).first() is not None


def _held_bytes(connection: Connection, part: UploadPart) -> int:
    """Of all parts that differ from ``part``; those that are equal among them once."""
    differing = select(upload_parts.c.sha256, upload_parts.c.bytes).where(
        upload_parts.c.upload_id == part.upload_id, upload_parts.c.sha256 != part.sha256
    )
    held = differing.distinct().subquery()
    return int(connection.execute(select(func.coalesce(func.sum(held.c.bytes), 0))).scalar_one())


def _count(connection: Connection, upload_id: str) -> int:
    query = select(func.count()).where(upload_parts.c.upload_id == upload_id)
    return connection.execute(query).scalar_one()


def _end(connection: Connection, upload_id: str, values: dict[str, object]) -> bool:
    """Compare and set; the parts are of no use any more."""
    change = update(uploads).where(
        uploads.c.id == upload_id, uploads.c.status == UploadStatus.PENDING
    )
    if connection.execute(change.values(values)).rowcount != 1:
        return False
    connection.execute(delete(upload_parts).where(upload_parts.c.upload_id == upload_id))
    return True


def _upload(row: RowMapping) -> Upload:
    return Upload(
        **{
            **row,
            "status": UploadStatus(row["status"]),
            "part_ids": tuple(row["part_ids"]),
        }
    )

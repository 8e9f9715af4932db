"""File records."""

from collections.abc import Collection
from dataclasses import asdict
from functools import partial

from sqlalchemy import delete, insert, select

from tunery_server.records.audit import Deed, note, noting
from tunery_server.records.database import Database
from tunery_server.records.idempotency import Submission, add_once, forget, unchecked
from tunery_server.records.paging import all_of, page
from tunery_server.records.quota import Quota, require_room
from tunery_server.records.rows import File, Page
from tunery_server.records.tables import files


class FileRecords:
    """Files of all tenants; every look-up names the tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, file: File, submission: Submission | None = None, quota: Quota | None = None
    ) -> str:
        """Store a new file's record; its bytes are in place already.

        Returns the id of the file that stands, which a repeat was the first time. Raises
        QuotaExceeded; without a ``quota`` there is no bound.
        """
        statement, check = insert(files).values(asdict(file)), unchecked
        if quota is not None:
            check = partial(require_room, tenant_id=file.tenant_id, quota=quota, bytes=file.bytes)
        deed = Deed("file.created", file.tenant_id, file.id)
        return add_once(self._database, statement, file.id, submission, check, noting(deed))

    def require_room(self, tenant_id: str, quota: Quota) -> None:
        """Raises QuotaExceeded when the tenant may not even keep an empty file."""
        with self._database.reading() as connection:
            require_room(connection, tenant_id, quota, bytes=0)

    def get(self, tenant_id: str, file_id: str) -> File | None:
        """The file, or None when this tenant has none with that id."""
        query = all_of(files).where(files.c.id == file_id, files.c.tenant_id == tenant_id)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return File(**row) if row else None

    def list(
        self,
        tenant_id: str,
        *,
        purpose: str | None,
        after: str | None,
        limit: int,
        ascending: bool,
    ) -> Page[File]:
        """One page; InvalidRequest when ``after`` is not one of this tenant's."""
        query = all_of(files).where(files.c.tenant_id == tenant_id)
        if purpose is not None:
            query = query.where(files.c.purpose == purpose)
        with self._database.reading() as connection:
            return page(
                connection,
                query,
                files,
                "id",
                after=after,
                limit=limit,
                ascending=ascending,
                build=lambda row: File(**row),
            )

    def delete(self, tenant_id: str, file_id: str, *, expired: bool = False) -> bool:
        """True when there was such a file. One that has ``expired`` is deleted by nobody."""
        change = delete(files).where(files.c.id == file_id, files.c.tenant_id == tenant_id)
        with self._database.writing() as connection:
            deleted = connection.execute(change).rowcount == 1
            if deleted:
                forget(connection, file_id)
            if deleted and not expired:
                note(connection, Deed("file.deleted", tenant_id, file_id))
        return deleted

    def expired(self, now: float) -> tuple[File, ...]:
        """Files of all tenants whose time is over."""
        query = all_of(files).where(files.c.expires_at <= now)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(File(**row) for row in rows)

    def known(self, file_ids: Collection[str]) -> frozenset[str]:
        """Those of the ids that have a record, whoever owns it."""
        query = select(files.c.id).where(files.c.id.in_(file_ids))
        with self._database.reading() as connection:
            return frozenset(connection.execute(query).scalars())

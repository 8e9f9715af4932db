"""API keys by digest."""

from sqlalchemy import insert, select, update

from tunery_server.records.database import Database
from tunery_server.records.rows import ApiKey
from tunery_server.records.tables import api_keys


class KeyRecords:
    """Keys of all tenants."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, key: ApiKey) -> None:
        """Store a new key."""
        values = {
            "id": key.id,
            "tenant_id": key.tenant_id,
            "name": key.name,
            "digest": key.digest,
            "scopes": list(key.scopes),
            "created_at": key.created_at,
            "revoked_at": key.revoked_at,
        }
        with self._database.writing() as connection:
            connection.execute(insert(api_keys).values(values))

    def by_digest(self, digest: str) -> ApiKey | None:
        """The key with this digest, revoked or not."""
        query = select(api_keys).where(api_keys.c.digest == digest)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return ApiKey(**{**row, "scopes": tuple(row["scopes"])}) if row else None

    def list(self) -> tuple[ApiKey, ...]:
        """All keys, oldest first."""
        query = select(api_keys).order_by(api_keys.c.created_at)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(ApiKey(**{**row, "scopes": tuple(row["scopes"])}) for row in rows)

    def revoke(self, key_id: str, *, now: float) -> bool:
        """True when the key existed and had not been revoked before."""
        change = (
            update(api_keys)
            .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
            .values(revoked_at=now)
        )
        with self._database.writing() as connection:
            return connection.execute(change).rowcount == 1

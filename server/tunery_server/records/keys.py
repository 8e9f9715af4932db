"""API keys by digest."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import RowMapping, func, insert, select, update

from tunery_server.limits.contract import Limits
from tunery_server.records.database import Database
from tunery_server.records.rows import ApiKey
from tunery_server.records.tables import api_keys

_LIMITS = tuple(asdict(Limits()))


class KeyRecords:
    """Keys of all tenants."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, key: ApiKey) -> None:
        """Store a new key."""
        with self._database.writing() as connection:
            connection.execute(insert(api_keys).values(_values(key)))

    def by_digest(self, digest: str) -> ApiKey | None:
        """The key with this digest, valid or not."""
        return self._one(api_keys.c.digest == digest)

    def get(self, key_id: str) -> ApiKey | None:
        """The key with this id, valid or not."""
        return self._one(api_keys.c.id == key_id)

    def list(self) -> tuple[ApiKey, ...]:
        """All keys, oldest first."""
        query = select(api_keys).order_by(api_keys.c.created_at)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(map(_key, rows))

    def revoke(self, key_id: str, *, now: float) -> bool:
        """True when the key existed and had not been revoked before."""
        change = (
            update(api_keys)
            .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
            .values(revoked_at=now)
        )
        with self._database.writing() as connection:
            return connection.execute(change).rowcount == 1

    def replace(self, key_id: str, successor: ApiKey, *, ends_at: float) -> bool:
        """Store ``successor`` and let the key end, both or neither. False when it is not valid."""
        ending = (
            update(api_keys)
            .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
            .where(func.coalesce(api_keys.c.expires_at, ends_at) >= ends_at)
            .values(expires_at=ends_at)
        )
        with self._database.writing() as connection:
            if connection.execute(ending).rowcount == 0:
                return False
            connection.execute(insert(api_keys).values(_values(successor)))
        return True

    def _one(self, condition: Any) -> ApiKey | None:
        with self._database.reading() as connection:
            row = connection.execute(select(api_keys).where(condition)).mappings().one_or_none()
        return _key(row) if row else None


def _values(key: ApiKey) -> dict[str, Any]:
    values = asdict(key)
    limits = values.pop("limits")
    return {**values, **limits, "scopes": list(key.scopes)}


def _key(row: RowMapping) -> ApiKey:
    limits = Limits(**{name: row[name] or 0 for name in _LIMITS})
    rest = {name: value for name, value in row.items() if name not in _LIMITS}
    return ApiKey(**{**rest, "scopes": tuple(row["scopes"]), "limits": limits})

"""API keys by digest."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    String,
    cast,
    func,
    insert,
    select,
    update,
)

from tunery_server.errors import InvalidRequest
from tunery_server.limits.contract import Limits
from tunery_server.records.actor import current_actor
from tunery_server.records.audit import Deed, note
from tunery_server.records.database import Database
from tunery_server.records.known_tenants import archived, name_tenant, require_active
from tunery_server.records.paging import all_of, page
from tunery_server.records.rights import ADMIN, require_admin
from tunery_server.records.rows import ApiKey, Page
from tunery_server.records.tables import api_keys
from tunery_server.records.tenant_rows import ServiceAccount

USE_S = 60.0
"""A key's last use is written at most so often."""

_LIMITS = tuple(asdict(Limits()))


class KeyRecords:
    """Keys of all tenants. A change asks whether whoever wants it may, and is written down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, key: ApiKey) -> None:
        """Store a new key, and its tenant when it is the first. Raises as :func:`add_key`."""
        with self._database.writing() as connection:
            add_key(connection, key)

    def by_digest(self, digest: str) -> ApiKey | None:
        """The key with this digest, valid or not, unless its tenant is archived."""
        active = api_keys.c.tenant_id.not_in(archived())
        return self._one((api_keys.c.digest == digest) & active)

    def get(self, key_id: str) -> ApiKey | None:
        """The key with this id, valid or not."""
        return self._one(api_keys.c.id == key_id)

    def list(self) -> tuple[ApiKey, ...]:
        """All keys, oldest first."""
        query = select(api_keys).order_by(api_keys.c.created_at)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(map(_key, rows))

    def of_tenant(self, tenant_id: str, *, after: str | None, limit: int) -> Page[ApiKey]:
        """A page of a tenant's keys that were not revoked, newest first."""
        mine = api_keys.c.tenant_id == tenant_id
        return self._page(mine, after=after, limit=limit, ascending=False)

    def administrators(self, *, after: str | None, limit: int, ascending: bool) -> Page[ApiKey]:
        """A page of everybody's keys with the scope admin that were not revoked."""
        return self._page(_IS_ADMIN, after=after, limit=limit, ascending=ascending)

    def revoke(self, key_id: str, *, now: float) -> bool:
        """True when the key existed and had not been revoked before.

        Raises InvalidRequest for the key that asks: somebody has to remain who may.
        """
        with self._database.writing() as connection:
            require_admin(connection)
            actor = current_actor()
            if actor is not None and actor.key_id == key_id:
                raise InvalidRequest(
                    "A key does not end itself: use another one.", code="key_in_use", param="key_id"
                )
            return revoke_keys(connection, api_keys.c.id == key_id, now) == 1

    def replace(self, key_id: str, successor: ApiKey, *, ends_at: float) -> bool:
        """Store ``successor`` and let the key end, both or neither. False when it is not valid."""
        ending = (
            update(api_keys)
            .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
            .where(func.coalesce(api_keys.c.expires_at, ends_at) >= ends_at)
            .values(expires_at=ends_at)
        )
        with self._database.writing() as connection:
            require_admin(connection)
            if connection.execute(ending).rowcount == 0:
                return False
            changes = {"changes_requested": {"expires_at": int(ends_at)}}
            note(connection, Deed("api_key.updated", successor.tenant_id, key_id, changes))
            add_key(connection, successor)
        return True

    def used(self, uses: Mapping[str, float]) -> None:
        """Write when keys were used last, Unix seconds by id, for each at most once a minute.

        Nobody asked for that: it is not written down as a change.
        """
        with self._database.writing() as connection:
            for key_id, at in sorted(uses.items()):  # as every gateway does: none waits in a ring
                known = func.coalesce(api_keys.c.last_used_at, at - USE_S)
                due = (api_keys.c.id == key_id) & (known <= at - USE_S)
                connection.execute(update(api_keys).where(due).values(last_used_at=at))

    def _page(
        self, condition: ColumnElement[bool], *, after: str | None, limit: int, ascending: bool
    ) -> Page[ApiKey]:
        query = all_of(api_keys).where(condition, api_keys.c.revoked_at.is_(None))
        with self._database.reading() as connection:
            return page(
                connection,
                query,
                api_keys,
                "id",
                after=after,
                limit=limit,
                ascending=ascending,
                build=_key,
            )

    def _one(self, condition: ColumnElement[bool]) -> ApiKey | None:
        with self._database.reading() as connection:
            row = connection.execute(select(api_keys).where(condition)).mappings().one_or_none()
        return _key(row) if row else None


def add_key(connection: Connection, key: ApiKey) -> None:
    """Store a new key, and its tenant when it is the first.

    Raises PermissionDenied when the key that asks may not give such a key away, and InvalidRequest
    when the tenant is archived.
    """
    require_admin(connection, key.scopes, until=key.expires_at)
    name_tenant(connection, key.tenant_id, key.created_at)
    require_active(connection, key.tenant_id)
    connection.execute(insert(api_keys).values(_values(key)))
    details = {"data": {"scopes": list(key.scopes)}}
    note(connection, Deed("api_key.created", key.tenant_id, key.id, details))


def first_key(connection: Connection, account: ServiceAccount) -> ApiKey | None:
    """The key that an account was made with, unless it was revoked."""
    query = select(api_keys).where(
        api_keys.c.service_account_id == account.id,
        api_keys.c.created_at == account.created_at,
        api_keys.c.revoked_at.is_(None),
    )
    row = connection.execute(query.with_for_update()).mappings().first()
    return _key(row) if row else None


def renew_key(connection: Connection, key: ApiKey, digest: str) -> None:
    """Let another secret open what the key opens, in place of its own. Raises as add_key does."""
    require_admin(connection, key.scopes, until=key.expires_at)
    require_active(connection, key.tenant_id)
    this = api_keys.c.id == key.id
    connection.execute(update(api_keys).where(this).values(digest=digest))
    note(connection, Deed("api_key.updated", key.tenant_id, key.id))


def revoke_keys(connection: Connection, which: ColumnElement[bool], now: float) -> int:
    """Revoke keys that were not revoked before; how many."""
    standing = which & api_keys.c.revoked_at.is_(None)
    query = select(api_keys.c.id, api_keys.c.tenant_id).where(standing).with_for_update()
    ending = connection.execute(query).all()
    for key_id, tenant_id in ending:
        this = api_keys.c.id == key_id
        connection.execute(update(api_keys).where(this).values(revoked_at=now))
        note(connection, Deed("api_key.deleted", tenant_id, key_id))
    return len(ending)


_IS_ADMIN = cast(api_keys.c.scopes, String).like(f'%"{ADMIN}"%')
"""By the JSON's text, which every database has; names of scopes hold no quotes."""


def _values(key: ApiKey) -> dict[str, Any]:
    values = asdict(key)
    limits = values.pop("limits")
    return {**values, **limits, "scopes": list(key.scopes)}


def _key(row: RowMapping) -> ApiKey:
    limits = Limits(**{name: row[name] or 0 for name in _LIMITS})
    rest = {name: value for name, value in row.items() if name not in _LIMITS}
    return ApiKey(**{**rest, "scopes": tuple(row["scopes"]), "limits": limits})

"""Service accounts, and the keys that end with them."""

from dataclasses import asdict

from sqlalchemy import Connection, delete, insert, select

from tunery_server.records.audit import Deed, note
from tunery_server.records.database import Database
from tunery_server.records.idempotency import Submission, add_once, forget
from tunery_server.records.keys import add_key, first_key, renew_key, revoke_keys
from tunery_server.records.known_tenants import require_active
from tunery_server.records.paging import all_of, page
from tunery_server.records.rights import require_admin
from tunery_server.records.rows import ApiKey, Page
from tunery_server.records.tables import api_keys, service_accounts
from tunery_server.records.tenant_rows import ServiceAccount


class ServiceAccountRecords:
    """Accounts of all tenants; every look-up names the tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, account: ServiceAccount, key: ApiKey | None, submission: Submission | None = None
    ) -> str:
        """Store an account of a known tenant with its first key, both or neither.

        The id of the one that stands, which a repeat of a request was the first time. Raises what
        :func:`add_key` raises.
        """

        def check(connection: Connection) -> None:
            require_admin(connection)
            require_active(connection, account.tenant_id)

        def then(connection: Connection) -> None:
            note(connection, Deed("service_account.created", account.tenant_id, account.id))
            if key is not None:
                add_key(connection, key)

        statement = insert(service_accounts).values(asdict(account))
        return add_once(self._database, statement, account.id, submission, check, then)

    def give_again(self, account: ServiceAccount, key: ApiKey) -> ApiKey:
        """The account's first key with ``key``'s secret, for its own one never arrived.

        One that was used did: it stays as it is, and ``key`` is stored beside it. Raises what
        :func:`add_key` raises.
        """
        with self._database.writing() as connection:
            first = first_key(connection, account)
            if first is None or first.last_used_at is not None:
                add_key(connection, key)
                return key
            renew_key(connection, first, key.digest)
            return first

    def add_key(self, key: ApiKey) -> bool:
        """Store another key of an account; False when there is no such account."""
        query = select(service_accounts.c.id).where(
            service_accounts.c.id == key.service_account_id,
            service_accounts.c.tenant_id == key.tenant_id,
        )
        with self._database.writing() as connection:
            if connection.execute(query.with_for_update()).first() is None:
                return False
            add_key(connection, key)
        return True

    def get(self, tenant_id: str, account_id: str) -> ServiceAccount | None:
        """The account, or None when this tenant has none with that id."""
        query = all_of(service_accounts).where(
            service_accounts.c.id == account_id, service_accounts.c.tenant_id == tenant_id
        )
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return ServiceAccount(**row) if row else None

    def list(self, tenant_id: str, *, after: str | None, limit: int) -> Page[ServiceAccount]:
        """One page, newest first; InvalidRequest when ``after`` is not one of this tenant's."""
        query = all_of(service_accounts).where(service_accounts.c.tenant_id == tenant_id)
        with self._database.reading() as connection:
            return page(
                connection,
                query,
                service_accounts,
                "id",
                after=after,
                limit=limit,
                ascending=False,
                build=lambda row: ServiceAccount(**row),
            )

    def delete(self, tenant_id: str, account_id: str, *, now: float) -> bool:
        """Forget an account and revoke its keys; True when there was such an account."""
        change = delete(service_accounts).where(
            service_accounts.c.id == account_id, service_accounts.c.tenant_id == tenant_id
        )
        with self._database.writing() as connection:
            require_admin(connection)
            if connection.execute(change).rowcount == 0:
                return False
            revoke_keys(connection, api_keys.c.service_account_id == account_id, now)
            forget(connection, account_id)
            note(connection, Deed("service_account.deleted", tenant_id, account_id))
        return True

"""Keys that may administer: they belong to a tenant, and see all."""

from collections.abc import Callable

from tunery_server.errors import NotFound
from tunery_server.records.keys import KeyRecords
from tunery_server.records.rights import ADMIN
from tunery_server.records.rows import ApiKey, Page
from tunery_server.tenants.accounts import NewKey, Wanted, granted
from tunery_server.tenants.keys import new_key


class AdministratorService:
    """Everybody's admin keys. Blocking."""

    def __init__(self, *, keys: KeyRecords, clock: Callable[[], float]) -> None:
        self._keys = keys
        self._clock = clock

    def create(self, tenant_id: str, wanted: Wanted, own: frozenset[str]) -> NewKey:
        """Make an admin key of the asking key's tenant, with ``own`` scopes or fewer.

        Raises PermissionDenied for other scopes, and for an end after that of the key that asks.
        """
        now = self._clock()
        chosen = None if wanted.scopes is None else (*wanted.scopes, ADMIN)
        secret, key = new_key(
            tenant_id,
            wanted.name,
            granted(chosen, own),
            now,
            expires_at=None if wanted.expires_in_s is None else now + wanted.expires_in_s,
        )
        self._keys.add(key)
        return NewKey(key, secret)

    def get(self, key_id: str) -> ApiKey:
        """An admin key that was not revoked. Raises NotFound."""
        key = self._keys.get(key_id)
        if key is None or ADMIN not in key.scopes or key.revoked_at is not None:
            raise NotFound(f"No admin API key with id {key_id[:200]!r}.", param="key_id")
        return key

    def list(self, *, after: str | None, limit: int, ascending: bool) -> Page[ApiKey]:
        """By the time of their creation. Raises InvalidRequest when ``after`` names none."""
        return self._keys.administrators(after=after, limit=limit, ascending=ascending)

    def delete(self, key_id: str) -> None:
        """End an admin key within five seconds. Raises InvalidRequest for the key that asks."""
        self._keys.revoke(self.get(key_id).id, now=self._clock())

"""An administrator's wishes on service accounts and keys."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from tunery_server.errors import InvalidRequest, NotFound, PermissionDenied
from tunery_server.ids import new_id
from tunery_server.limits.contract import UNLIMITED, Limits
from tunery_server.records.idempotency import Sending
from tunery_server.records.keys import KeyRecords
from tunery_server.records.rights import ADMIN, ALL_SCOPES
from tunery_server.records.rows import ApiKey, Page
from tunery_server.records.service_accounts import ServiceAccountRecords
from tunery_server.records.tenant_rows import ServiceAccount
from tunery_server.tenants.keys import new_key, successor
from tunery_server.tenants.projects import ProjectService


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A key as asked for."""

    name: str
    scopes: tuple[str, ...] | None = None
    """None is all that the asking key may give away."""
    expires_in_s: int | None = None
    limits: Limits = UNLIMITED


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key and, this once, its secret."""

    key: ApiKey
    secret: str


class AccountService:
    """Accounts and keys of all tenants. Blocking. Every method raises NotFound for no project.

    ``own`` are the scopes of the key that asks, which no key that it makes exceeds.
    """

    def __init__(
        self,
        *,
        projects: ProjectService,
        accounts: ServiceAccountRecords,
        keys: KeyRecords,
        clock: Callable[[], float],
    ) -> None:
        self._projects = projects
        self._accounts = accounts
        self._keys = keys
        self._clock = clock

    def create(
        self,
        project_id: str,
        name: str,
        wanted: Wanted | None,
        own: frozenset[str],
        *,
        asked_by: str,
        sending: Sending,
    ) -> tuple[ServiceAccount, NewKey | None]:
        """Make an account and, unless ``wanted`` is None, its first key.

        A repeat of a request (``sending``) gets the account that it made before, and a secret again
        in place of the one that did not arrive; ``asked_by`` is the tenant whose key asks. Raises
        PermissionDenied for scopes that the asking key lacks, and InvalidRequest for a project that
        is archived.
        """
        self._projects.get(project_id)
        now, key = self._clock(), None if wanted is None else asdict(wanted)
        content = {"project": project_id, "name": name, "key": key}
        submission = sending.of("organization.accounts", content, tenant_id=asked_by, now=now)
        account = ServiceAccount(
            id=new_id("svc_acct_"), tenant_id=project_id, name=name, created_at=now
        )
        made = None if wanted is None else self._made(account, wanted, own, now)
        standing = self._accounts.add(account, made.key if made else None, submission)
        if standing == account.id:
            return account, made
        account = self.get(project_id, standing)
        return account, made and self._given_again(account, made)

    def create_key(
        self, project_id: str, account_id: str, wanted: Wanted, own: frozenset[str]
    ) -> NewKey:
        """Make another key of an account. Raises as :meth:`create` does."""
        account = self.get(project_id, account_id)
        made = self._made(account, wanted, own, self._clock())
        if not self._accounts.add_key(made.key):
            raise _no_account(account_id)
        return made

    def get(self, project_id: str, account_id: str) -> ServiceAccount:
        """The account. Raises NotFound."""
        self._projects.get(project_id)
        account = self._accounts.get(project_id, account_id)
        if account is None:
            raise _no_account(account_id)
        return account

    def list(self, project_id: str, *, after: str | None, limit: int) -> Page[ServiceAccount]:
        """Newest first. Raises InvalidRequest when ``after`` names no account."""
        self._projects.get(project_id)
        return self._accounts.list(project_id, after=after, limit=limit)

    def delete(self, project_id: str, account_id: str) -> None:
        """Forget an account; its keys end within five seconds. Raises NotFound."""
        self._projects.get(project_id)
        if not self._accounts.delete(project_id, account_id, now=self._clock()):
            raise _no_account(account_id)

    def key(self, project_id: str, key_id: str) -> ApiKey:
        """A key of the project that was not revoked. Raises NotFound."""
        self._projects.get(project_id)
        key = self._keys.get(key_id)
        if key is None or key.tenant_id != project_id or key.revoked_at is not None:
            raise _no_key(key_id)
        return key

    def keys(self, project_id: str, *, after: str | None, limit: int) -> Page[ApiKey]:
        """Those of a project that were not revoked, newest first."""
        self._projects.get(project_id)
        return self._keys.of_tenant(project_id, after=after, limit=limit)

    def owner(self, key: ApiKey) -> ServiceAccount | None:
        """The account that a key belongs to; None for one that was made without."""
        if key.service_account_id is None:
            return None
        return self._accounts.get(key.tenant_id, key.service_account_id)

    def delete_key(self, project_id: str, key_id: str) -> None:
        """End a key within five seconds.

        Raises NotFound, and InvalidRequest for the key that asks.
        """
        key = self.key(project_id, key_id)
        if not self._keys.revoke(key.id, now=self._clock()):
            raise _no_key(key_id)

    def rotate(self, project_id: str, key_id: str, overlap_s: int) -> NewKey:
        """Make a key that may do what this one may, and let this one end after the overlap.

        Raises NotFound also for a key that has expired, PermissionDenied for one that may do more
        than the key that asks.
        """
        old, now = self.key(project_id, key_id), self._clock()
        secret, key = successor(old, now)
        ends_at = min(now + overlap_s, old.expires_at or float("inf"))
        if not old.valid_at(now) or not self._keys.replace(old.id, key, ends_at=ends_at):
            raise _no_key(key_id)
        return NewKey(key, secret)

    def _given_again(self, account: ServiceAccount, made: NewKey) -> NewKey:
        key = replace(made.key, service_account_id=account.id)
        return NewKey(self._accounts.give_again(account, key), made.secret)

    def _made(
        self, account: ServiceAccount, wanted: Wanted, own: frozenset[str], now: float
    ) -> NewKey:
        secret, key = new_key(
            account.tenant_id,
            wanted.name,
            granted(wanted.scopes, own - {ADMIN}),
            now,
            expires_at=None if wanted.expires_in_s is None else now + wanted.expires_in_s,
            limits=wanted.limits,
            service_account_id=account.id,
        )
        return NewKey(key, secret)


def granted(wanted: tuple[str, ...] | None, own: frozenset[str]) -> tuple[str, ...]:
    """The scopes of a new key, in their usual order. Raises PermissionDenied beyond ``own``."""
    scopes = own if wanted is None else frozenset(wanted)
    if beyond := scopes - own:
        raise PermissionDenied(f"This key lacks the scope {min(beyond)!r}.")
    if not scopes:
        raise InvalidRequest("A key wants one scope at least.", param="scopes")
    return tuple(scope for scope in ALL_SCOPES if scope in scopes)


def _no_account(account_id: str) -> NotFound:
    return NotFound(f"No service account with id {account_id[:200]!r}.", param="service_account_id")


def _no_key(key_id: str) -> NotFound:
    return NotFound(f"No API key with id {key_id[:200]!r}.", param="key_id")

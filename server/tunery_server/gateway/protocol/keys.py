"""Service accounts, API keys of projects, and admin API keys."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field

from tunery_server.gateway.protocol.base import Answer, Deleted, ListedBetween, Request, seconds
from tunery_server.gateway.protocol.projects import Count, Name
from tunery_server.limits.contract import Limits
from tunery_server.records.rows import ApiKey
from tunery_server.records.tenant_rows import ServiceAccount
from tunery_server.tenants.accounts import NewKey, Wanted
from tunery_server.tenants.keys import KEY_PREFIX

TenantScope = Literal["inference", "files", "jobs", "adapters"]
_Lifetime = Annotated[int, Field(ge=1, le=10 * 366 * 86_400)]
_Scopes = Annotated[list[TenantScope], Field(min_length=1, max_length=4)]
_AccountKey = Literal["organization.project.service_account.api_key"]

_REDACTED = f"{KEY_PREFIX}***"
"""Of a key nothing is stored that could be shown."""


class _NewAccountKey(Request):
    """Ours: limits of this key, beside its project's; 0 is no bound."""

    expires_in_seconds: _Lifetime | None = None
    scopes: _Scopes | None = None
    requests_per_minute: Count = 0
    tokens_per_minute: Count = 0
    concurrent_requests: Count = 0

    def wanted(self, name: str) -> Wanted:
        """The key as asked for."""
        return Wanted(
            name=name,
            scopes=None if self.scopes is None else tuple(self.scopes),
            expires_in_s=self.expires_in_seconds,
            limits=Limits(
                requests_per_minute=self.requests_per_minute,
                tokens_per_minute=self.tokens_per_minute,
                concurrent_requests=self.concurrent_requests,
            ),
        )


class CreateServiceAccount(_NewAccountKey):
    """A new account and its first key."""

    name: Name
    create_service_account_only: bool | None = None


class CreateServiceAccountKey(_NewAccountKey):
    """Another key of an account."""

    name: Name | None = None


class RotateKey(Request):
    """For how long the old key goes on working."""

    overlap_seconds: Annotated[int, Field(ge=0, le=366 * 86_400)] = 86_400


class CreateAdminKey(Request):
    """A new admin key. ``scopes`` are ours: those beside admin; by default the asking key's own."""

    name: Name
    expires_in_seconds: _Lifetime | None = None
    scopes: Annotated[list[TenantScope], Field(max_length=4)] | None = None

    def wanted(self) -> Wanted:
        """The key as asked for."""
        scopes = None if self.scopes is None else tuple(self.scopes)
        return Wanted(name=self.name, scopes=scopes, expires_in_s=self.expires_in_seconds)


class _Key(Answer):
    """What is said of every key. ``scopes`` are ours."""

    id: str
    name: str
    created_at: int
    expires_at: int | None
    scopes: tuple[str, ...]

    @classmethod
    def _from(cls, key: ApiKey, **own: Any) -> Self:
        """From its record; ``own`` are the fields of one kind of key."""
        return cls(
            id=key.id,
            name=key.name,
            created_at=int(key.created_at),
            expires_at=seconds(key.expires_at),
            scopes=key.scopes,
            **own,
        )


class ServiceAccountKey(_Key):
    """A key as it is shown once, when it was made."""

    object: _AccountKey = "organization.project.service_account.api_key"
    value: str = Field(repr=False)

    @classmethod
    def of(cls, new: NewKey) -> "ServiceAccountKey":
        """With its secret."""
        return cls._from(new.key, value=new.secret)


class ServiceAccountObject(Answer):
    """An account. Its keys' scopes say what it may do; every account is a member."""

    id: str
    object: Literal["organization.project.service_account"] = "organization.project.service_account"
    name: str
    role: Literal["member"] = "member"
    created_at: int

    @classmethod
    def of(cls, account: ServiceAccount) -> "ServiceAccountObject":
        """From its record."""
        return cls(id=account.id, name=account.name, created_at=int(account.created_at))


class NewServiceAccount(Answer):
    """An account, and the key that it was made with."""

    id: str
    object: Literal["organization.project.service_account"] = "organization.project.service_account"
    name: str
    role: Literal["member", "none"]
    created_at: int
    api_key: ServiceAccountKey | None

    @classmethod
    def of(cls, account: ServiceAccount, new: NewKey | None) -> "NewServiceAccount":
        """One without a key has the role ``none``."""
        return cls(
            id=account.id,
            name=account.name,
            role="none" if new is None else "member",
            created_at=int(account.created_at),
            api_key=None if new is None else ServiceAccountKey.of(new),
        )


class ServiceAccountList(ListedBetween[ServiceAccountObject]):
    """A page of accounts."""


class ServiceAccountDeleted(Deleted):
    """An account that is no more."""

    object: Literal["organization.project.service_account.deleted"] = (
        "organization.project.service_account.deleted"
    )


class KeyOwner(Answer):
    """The account that a key belongs to; null for one that was made on the server's machine."""

    type: Literal["service_account"] = "service_account"
    service_account: ServiceAccountObject | None
    user: None = None


class ApiKeyObject(_Key):
    """A project's key. Its own limits are ours."""

    object: Literal["organization.project.api_key"] = "organization.project.api_key"
    redacted_value: str = _REDACTED
    last_used_at: int | None
    owner: KeyOwner
    owner_project_access: Literal["active"] = "active"
    requests_per_minute: int
    tokens_per_minute: int
    concurrent_requests: int

    @classmethod
    def of(cls, key: ApiKey, account: ServiceAccount | None) -> "ApiKeyObject":
        """From its record."""
        owner = None if account is None else ServiceAccountObject.of(account)
        return cls._from(
            key,
            last_used_at=seconds(key.last_used_at),
            owner=KeyOwner(service_account=owner),
            requests_per_minute=key.limits.requests_per_minute,
            tokens_per_minute=key.limits.tokens_per_minute,
            concurrent_requests=key.limits.concurrent_requests,
        )


class ApiKeyList(ListedBetween[ApiKeyObject]):
    """A page of a project's keys."""


class ApiKeyDeleted(Deleted):
    """A key that ends within five seconds."""

    object: Literal["organization.project.api_key.deleted"] = "organization.project.api_key.deleted"


class AdminKeyOwner(Answer):
    """The project that an admin key belongs to."""

    id: str
    object: Literal["organization.project"] = "organization.project"
    type: Literal["project"] = "project"
    name: str
    role: Literal["owner"] = "owner"
    created_at: int | None = None


class AdminKeyObject(_Key):
    """An admin key."""

    object: Literal["organization.admin_api_key"] = "organization.admin_api_key"
    redacted_value: str = _REDACTED
    last_used_at: int | None
    owner: AdminKeyOwner

    @classmethod
    def of(cls, key: ApiKey) -> "AdminKeyObject":
        """From its record."""
        owner = AdminKeyOwner(id=key.tenant_id, name=key.tenant_id)
        return cls._from(key, owner=owner, last_used_at=seconds(key.last_used_at))


class AdminKeyWithValue(AdminKeyObject):
    """An admin key as it is shown once, when it was made."""

    value: str = Field(repr=False)

    @classmethod
    def made(cls, new: NewKey) -> "AdminKeyWithValue":
        """With its secret."""
        return cls(**dict(AdminKeyObject.of(new.key)), value=new.secret)


class AdminKeyList(ListedBetween[AdminKeyObject]):
    """A page of admin keys."""


class AdminKeyDeleted(Deleted):
    """An admin key that ends within five seconds."""

    object: Literal["organization.admin_api_key.deleted"] = "organization.admin_api_key.deleted"

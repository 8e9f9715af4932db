"""``tunery keys``."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tunery_server.records.keys import KeyRecords
    from tunery_server.records.rows import ApiKey

from tunery_server.cli.context import open_record, settings_of, told_apart
from tunery_server.cli.limit_options import (
    ConcurrentRequests,
    RequestsPerMinute,
    TokensPerMinute,
    described,
)
from tunery_server.errors import ConfigError
from tunery_server.limits.contract import Limits

keys = typer.Typer(no_args_is_help=True, help="Make, list, rotate and revoke API keys.")

_DAY_S = 86_400.0


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    tenant: Annotated[str, typer.Option(help="Whom it belongs to.")] = "default",
    admin: Annotated[bool, typer.Option(help="May see metrics and manage the server.")] = False,
    scope: Annotated[
        list[str] | None, typer.Option(help="All that it may do; again for each. All but admin.")
    ] = None,
    expires_in_days: Annotated[
        float | None, typer.Option(min=0.0, help="When it ends; never, unless given.")
    ] = None,
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    concurrent_requests: ConcurrentRequests = None,
) -> None:
    """Make a key and print it, this once. Its limits hold beside its tenant's."""
    from tunery_server.tenants.keys import new_key  # noqa: PLC0415 - slow to import

    limits = Limits(
        requests_per_minute=requests_per_minute or 0,
        tokens_per_minute=tokens_per_minute or 0,
        concurrent_requests=concurrent_requests or 0,
    )
    with told_apart(), _key_records() as records:
        now = time.time()
        ends = None if expires_in_days is None else now + expires_in_days * _DAY_S
        scopes = _scopes(scope or [], admin=admin)
        secret, key = new_key(tenant, name, scopes, now, expires_at=ends, limits=limits)
        records.add(key)
        typer.echo(secret)


@keys.command("list")
def list_keys() -> None:
    """List keys by id; the keys themselves are not stored."""
    with told_apart(), _key_records() as records:
        now = time.time()
        for key in records.list():
            scopes = ",".join(key.scopes)
            words = (key.id, key.tenant_id, key.name, scopes, _state(key, now))
            typer.echo("  ".join((*words, described(key.limits))))


@keys.command("rotate")
def rotate_key(
    key_id: Annotated[str, typer.Argument(help="Id from the list.")],
    overlap_hours: Annotated[
        float, typer.Option(min=0.0, help="For how long the old key goes on working.")
    ] = 24.0,
) -> None:
    """Make a key that may do what this one may, print it, and let this one end."""
    from tunery_server.tenants.keys import successor  # noqa: PLC0415 - slow to import

    with told_apart(), _key_records() as records:
        now = time.time()
        old = records.get(key_id)
        if old is None or not old.valid_at(now):
            raise _no_such_key(key_id)
        secret, key = successor(old, now)
        ends = min(now + overlap_hours * 3600, old.expires_at or float("inf"))
        if not records.replace(key_id, key, ends_at=ends):
            raise _no_such_key(key_id)
        typer.echo(secret)


@keys.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(help="Id from the list.")]) -> None:
    """Revoke a key; it stops working within five seconds."""
    with told_apart(), _key_records() as records:
        if not records.revoke(key_id, now=time.time()):
            raise _no_such_key(key_id)
        typer.echo(f"revoked {key_id}")


def _scopes(chosen: list[str], *, admin: bool) -> tuple[str, ...]:
    from tunery_server.records.rights import ADMIN, ALL_SCOPES, TENANT_SCOPES  # noqa: PLC0415

    if unknown := set(chosen) - set(ALL_SCOPES):
        raise ConfigError(f"There is no scope {min(unknown)!r}, only {', '.join(ALL_SCOPES)}.")
    scopes = chosen or list(TENANT_SCOPES)
    return tuple(one for one in ALL_SCOPES if one in scopes or (admin and one == ADMIN))


def _state(key: "ApiKey", now: float) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if not key.valid_at(now):
        return "expired"
    if key.expires_at is None:
        return "active"
    return f"active until {time.strftime('%Y-%m-%d %H:%M:%SZ', time.gmtime(key.expires_at))}"


def _no_such_key(key_id: str) -> ConfigError:
    return ConfigError(f"There is no active key {key_id}. 'tunery keys list' shows them.")


@contextmanager
def _key_records() -> "Iterator[KeyRecords]":
    from tunery_server.records.keys import KeyRecords  # noqa: PLC0415 - slow to import

    with open_record(settings_of()) as database:
        yield KeyRecords(database)

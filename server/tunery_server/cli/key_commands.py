"""``tunery keys``."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tunery_server.records.keys import KeyRecords

from tunery_server.cli.context import open_record, settings_of, told_apart
from tunery_server.errors import ConfigError

keys = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    tenant: Annotated[str, typer.Option(help="Whom it belongs to.")] = "default",
    admin: Annotated[bool, typer.Option(help="May see metrics and manage the server.")] = False,
) -> None:
    """Make a key and print it, this once."""
    from tunery_server.gateway.auth import ALL_SCOPES, TENANT_SCOPES, new_key  # noqa: PLC0415

    with told_apart(), _key_records() as records:
        scopes = ALL_SCOPES if admin else TENANT_SCOPES
        secret, key = new_key(tenant, name, scopes, time.time())
        records.add(key)
        typer.echo(secret)


@keys.command("list")
def list_keys() -> None:
    """List keys by id; the keys themselves are not stored."""
    with told_apart(), _key_records() as records:
        for key in records.list():
            state = "revoked" if key.revoked_at is not None else "active"
            typer.echo(f"{key.id}  {key.tenant_id}  {key.name}  {','.join(key.scopes)}  {state}")


@keys.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(help="Id from the list.")]) -> None:
    """Revoke a key; it stops working within five seconds."""
    with told_apart(), _key_records() as records:
        if not records.revoke(key_id, now=time.time()):
            raise ConfigError(f"There is no active key {key_id}. 'tunery keys list' shows them.")
        typer.echo(f"revoked {key_id}")


@contextmanager
def _key_records() -> "Iterator[KeyRecords]":
    from tunery_server.records.keys import KeyRecords  # noqa: PLC0415 - slow to import

    with open_record(settings_of()) as database:
        yield KeyRecords(database)

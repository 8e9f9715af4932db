"""``tunery audit``: who changed what."""

import time
from typing import Annotated

import typer

from tunery_server.cli.context import open_record, settings_of, told_apart


def audit(
    tenant: Annotated[str | None, typer.Option(help="Whose objects; by default all.")] = None,
    event: Annotated[
        list[str] | None, typer.Option(help="Types such as api_key.created; by default all.")
    ] = None,
    actor: Annotated[str | None, typer.Option(help="Id of a key, or a user.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Entries to show.")] = 50,
) -> None:
    """Show who changed what, newest first."""
    from tunery_server.records.audit import AuditFilter, AuditRecords  # noqa: PLC0415 - slow

    chosen = AuditFilter(
        types=event or None,
        tenants=None if tenant is None else [tenant],
        actors=None if actor is None else [actor],
    )
    with told_apart(), open_record(settings_of()) as database:
        for entry in AuditRecords(database).list(chosen, limit=limit).items:
            moment = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(entry.created_at))
            who = f"key {entry.key_id}" if entry.key_id else f"user {entry.user}"
            whence = "  ".join(filter(None, [entry.address, entry.request_id]))
            words = (moment, entry.type, entry.tenant_id, entry.object_id, who, whence)
            typer.echo("  ".join(filter(None, words)))

"""``tunery tenants``: what each tenant may have, and putting one aside."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tunery_server.records.projects import ProjectRecords
    from tunery_server.records.tenant_rows import TenantPolicy
    from tunery_server.records.tenants import TenantPolicies

from tunery_server.cli.context import open_record, settings_of, told_apart
from tunery_server.cli.limit_options import (
    ConcurrentRequests,
    RequestsPerMinute,
    TokensPerMinute,
    described,
)
from tunery_server.errors import ConfigError

TenantId = Annotated[str, typer.Argument(help="Id from the list.")]

tenants = typer.Typer(no_args_is_help=True, help="Say what each tenant may have.")


@tenants.command("set")
def set_policy(
    tenant: Annotated[str, typer.Argument(help="Whose policy.")],
    weight: Annotated[
        float | None, typer.Option(min=0.001, max=1e6, help="Share of the workers' time.")
    ] = None,
    max_running: Annotated[
        int | None, typer.Option(min=0, help="Jobs at once; 0 is no bound.")
    ] = None,
    max_waiting: Annotated[
        int | None, typer.Option(min=0, help="Jobs that wait or are paused.")
    ] = None,
    preemptible: Annotated[
        bool | None,
        typer.Option(help="Whether a running job makes room for one of a higher priority."),
    ] = None,
    max_files: Annotated[int | None, typer.Option(min=0, help="Files that it may keep.")] = None,
    max_file_bytes: Annotated[
        int | None, typer.Option(min=0, help="Bytes of files that it may keep.")
    ] = None,
    max_adapters: Annotated[
        int | None, typer.Option(min=0, help="Adapters that it may have and import another.")
    ] = None,
    max_adapter_bytes: Annotated[
        int | None, typer.Option(min=0, help="The same in bytes of weights.")
    ] = None,
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    concurrent_requests: ConcurrentRequests = None,
) -> None:
    """Set what is given and leave the rest; workers and gateways know it within seconds."""
    given = {
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
        "concurrent_requests": concurrent_requests,
        "weight": weight,
        "max_running": max_running,
        "max_waiting": max_waiting,
        "preemptible": preemptible,
        "max_files": max_files,
        "max_file_bytes": max_file_bytes,
        "max_adapters": max_adapters,
        "max_adapter_bytes": max_adapter_bytes,
    }
    with told_apart(), _tenants() as opened:
        chosen = {name: value for name, value in given.items() if value is not None}
        typer.echo(_line(opened.policies.set(tenant, **chosen)))


@tenants.command("list")
def list_tenants() -> None:
    """List tenants and what each may have."""
    with told_apart(), _tenants() as opened:
        for tenant in opened.projects.all():
            state = "" if tenant.archived_at is None else "  archived"
            typer.echo(_line(opened.policies.of(tenant.id)) + state)


@tenants.command("archive")
def archive(tenant: TenantId) -> None:
    """End a tenant's keys within five seconds and start none of its jobs; its data stays."""
    with told_apart(), _tenants() as opened:
        if opened.projects.archive(tenant, now=time.time()) is None:
            raise _no_such_tenant(tenant)
        typer.echo(f"archived {tenant}")


@tenants.command("restore")
def restore(tenant: TenantId) -> None:
    """Take an archival back: keys open again, and jobs go on waiting."""
    with told_apart(), _tenants() as opened:
        if opened.projects.restore(tenant) is None:
            raise _no_such_tenant(tenant)
        typer.echo(f"restored {tenant}")


def _no_such_tenant(tenant: str) -> ConfigError:
    return ConfigError(f"There is no tenant {tenant}. 'tunery tenants list' shows them.")


def _line(policy: "TenantPolicy") -> str:
    running = policy.max_running or "any"
    yields = "preemptible" if policy.preemptible else "not preemptible"
    return (
        f"{policy.tenant_id}  weight {policy.weight:g}  running {running}  "
        f"waiting {policy.max_waiting}  {yields}  files {policy.max_files}, "
        f"{policy.max_file_bytes} bytes  adapters {policy.max_adapters}, "
        f"{policy.max_adapter_bytes} bytes  {described(policy.limits)}"
    )


@dataclass(frozen=True)
class _Tenants:
    projects: "ProjectRecords"
    policies: "TenantPolicies"


@contextmanager
def _tenants() -> "Iterator[_Tenants]":
    from tunery_server.records.projects import ProjectRecords  # noqa: PLC0415 - slow to import
    from tunery_server.records.tenants import TenantPolicies, default_policy  # noqa: PLC0415

    settings = settings_of()
    with open_record(settings) as database:
        policies = TenantPolicies(database, default_policy(settings))
        yield _Tenants(ProjectRecords(database), policies)

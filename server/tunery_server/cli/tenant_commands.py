"""``tunery tenants``: what each tenant may have of the workers and of the engine."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tunery_server.records.rows import TenantPolicy
    from tunery_server.records.tenants import TenantPolicies

from tunery_server.cli.context import open_record, settings_of, told_apart
from tunery_server.cli.limit_options import (
    ConcurrentRequests,
    RequestsPerMinute,
    TokensPerMinute,
    described,
)

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
    }
    with told_apart(), _policies() as policies:
        chosen = {name: value for name, value in given.items() if value is not None}
        typer.echo(_line(policies.set(tenant, **chosen)))


@tenants.command("list")
def list_policies() -> None:
    """List the tenants for which something was set."""
    with told_apart(), _policies() as policies:
        for policy in policies.list():
            typer.echo(_line(policy))


def _line(policy: "TenantPolicy") -> str:
    running = policy.max_running or "any"
    yields = "preemptible" if policy.preemptible else "not preemptible"
    return (
        f"{policy.tenant_id}  weight {policy.weight:g}  running {running}  "
        f"waiting {policy.max_waiting}  {yields}  {described(policy.limits)}"
    )


@contextmanager
def _policies() -> "Iterator[TenantPolicies]":
    from tunery_server.records.tenants import TenantPolicies, default_policy  # noqa: PLC0415

    settings = settings_of()
    with open_record(settings) as database:
        yield TenantPolicies(database, default_policy(settings))

"""``tunery webhooks``: endpoints of all tenants, on the record itself."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

if TYPE_CHECKING:
    from tunery_server.records.webhooks import EndpointRecords
    from tunery_server.webhooks.service import WebhookService

from tunery_server.cli.context import open_record, settings_of, told_apart
from tunery_server.errors import ConfigError
from tunery_server.records.rows import EventType, WebhookEndpoint

webhooks = typer.Typer(
    no_args_is_help=True, help="Tell a tenant's own server when a job or a batch has ended."
)

EndpointId = Annotated[str, typer.Argument(help="Id from the list.")]


@webhooks.command("create")
def create_endpoint(
    url: Annotated[str, typer.Option(help="Where to send events; TUNERY_WEBHOOK_HOSTS allows it.")],
    tenant: Annotated[str, typer.Option(help="Whose jobs and batches.")] = "default",
    event: Annotated[
        list[EventType] | None, typer.Option(help="Which events; by default all of them.")
    ] = None,
    name: Annotated[str, typer.Option(help="What the endpoint is for.")] = "webhook",
) -> None:
    """Register an endpoint; print its id and, this once, its secret."""
    with told_apart(), _webhooks() as opened:
        endpoint = opened.service.create(
            tenant, name=name, url=url, event_types=event or list(EventType)
        )
        typer.echo(f"{endpoint.id}  {endpoint.secret}")


@webhooks.command("list")
def list_endpoints() -> None:
    """List endpoints; of an URL only the host, for the rest may be a secret."""
    with told_apart(), _webhooks() as opened:
        for endpoint in opened.endpoints.all():
            state = "active" if endpoint.disabled_at is None else "disabled"
            host, types = urlsplit(endpoint.url).netloc, ",".join(endpoint.event_types)
            typer.echo(
                f"{endpoint.id}  {endpoint.tenant_id}  {endpoint.name}  {host}  {types}  {state}"
            )


@webhooks.command("delete")
def delete_endpoint(endpoint_id: EndpointId) -> None:
    """Send nothing more to an endpoint, and forget its secret."""
    with told_apart(), _webhooks() as opened:
        endpoint = opened.named(endpoint_id)
        opened.service.delete(endpoint.tenant_id, endpoint.id)
        typer.echo(f"deleted {endpoint.id}")


@webhooks.command("test")
def try_endpoint(
    endpoint_id: EndpointId,
    event: Annotated[
        EventType, typer.Option(help="Which event to send.")
    ] = EventType.JOB_SUCCEEDED,
) -> None:
    """Send a signed sample event and print what came back; status 1 unless it was taken."""
    with told_apart(), _webhooks() as opened:
        endpoint = opened.named(endpoint_id)
        answer = asyncio.run(opened.service.test(endpoint.tenant_id, endpoint.id, event))
    typer.echo(answer.outcome if answer.status is None else f"{answer.outcome} ({answer.status})")
    if not answer.delivered:
        raise typer.Exit(1)


@dataclass(frozen=True)
class _Webhooks:
    endpoints: "EndpointRecords"
    service: "WebhookService"

    def named(self, endpoint_id: str) -> WebhookEndpoint:
        endpoint = self.endpoints.get_any(endpoint_id)
        if endpoint is None:
            raise ConfigError(
                f"There is no endpoint {endpoint_id}. 'tunery webhooks list' shows them."
            )
        return endpoint


@contextmanager
def _webhooks() -> Iterator[_Webhooks]:
    from tunery_server.records.outbox import Outbox  # noqa: PLC0415 - slow to import
    from tunery_server.records.webhooks import EndpointRecords  # noqa: PLC0415
    from tunery_server.webhooks.destinations import Destinations  # noqa: PLC0415
    from tunery_server.webhooks.poster import Poster  # noqa: PLC0415
    from tunery_server.webhooks.service import WebhookService  # noqa: PLC0415

    settings = settings_of()
    destinations = Destinations.of(settings.webhook_hosts)
    with open_record(settings) as database:
        endpoints = EndpointRecords(database)
        service = WebhookService(
            endpoints=endpoints,
            outbox=Outbox(database),
            destinations=destinations,
            poster=Poster(destinations),
            clock=time.time,
        )
        yield _Webhooks(endpoints, service)

"""Objects of tenant acme that are there before schemathesis starts, for it to find."""

from pathlib import Path
from typing import Any

from tests.archives import a_tar, members, write_base_model
from tests.rows import (
    a_batch,
    a_file,
    a_job,
    a_key,
    a_permission,
    a_revision,
    a_service_account,
    a_tenant,
    an_endpoint,
)
from tests.unit.server.gateway.composed import Gateway
from tunery_server.files.uploads import NewUpload
from tunery_server.gateway.deps import Services
from tunery_server.gateway.protocol.projects import RATE_LIMIT_ID
from tunery_server.records.aliases import AliasRecords
from tunery_server.records.batches import BatchRecords
from tunery_server.records.files import FileRecords
from tunery_server.records.jobs import JobRecords
from tunery_server.records.keys import KeyRecords
from tunery_server.records.permissions import PermissionRecords
from tunery_server.records.projects import ProjectRecords
from tunery_server.records.rights import ALL_SCOPES
from tunery_server.records.rows import BatchStatus, JobStatus
from tunery_server.records.service_accounts import ServiceAccountRecords
from tunery_server.records.webhooks import EndpointRecords

EACH = 8
"""Some are deleted on the way."""
FAR = 1e11
_CONTENT = b"What is known.\n"


def put(gateway: Gateway, url: str) -> dict[str, list[str]]:
    """Add them; the ids and names of each kind. ``url`` is the gateway's own."""
    shared = gateway.publish().model
    return {
        "models": [gateway.settings.base_model_name],
        "adapters": [gateway.publish().model for _ in range(3 * EACH)],
        "shared": [shared],
        "files": [_file(gateway) for _ in range(EACH)],
        "inputs": [_file(gateway, purpose="batch", examples=None) for _ in range(EACH)],
        "archives": [_file(gateway, content=_archive(gateway), **_USER_DATA)],
        "jobs": [_job(gateway, status) for status in _STATUSES for _ in range(EACH)],
        "batches": [_batch(gateway) for _ in range(EACH)],
        "permissions": [_permission(gateway, shared, f"tenant-{n}") for n in range(EACH)],
        "uploads": [_upload(gateway, 2**20) for _ in range(EACH)],
        "empty_uploads": [_upload(gateway, 0) for _ in range(EACH)],
        "projects": [project := _project(gateway)],
        "archivable": [_project(gateway) for _ in range(EACH)],
        "accounts": [_account(gateway, project) for _ in range(EACH)],
        "keys": [_key(gateway, project) for _ in range(EACH)],
        "doomed_keys": [_key(gateway, project) for _ in range(EACH)],
        "doomed_admin_keys": [_key(gateway, project) for _ in range(EACH)],
        "rate_limits": [RATE_LIMIT_ID],
        "endpoints": [_endpoint(gateway, url) for _ in range(EACH)],
        "urls": [url],
        "aliases": [_alias(gateway, f"bot-{number}") for number in range(EACH)],
    }


_STATUSES = (JobStatus.QUEUED, JobStatus.PAUSED)


_USER_DATA: dict[str, Any] = {"purpose": "user_data", "examples": None}


def _archive(gateway: Gateway) -> bytes:
    """An adapter that fits the base model, which is put where it belongs."""
    write_base_model(Path(gateway.settings.base_model_path))
    return a_tar(members(gateway.settings.home / "peft"))


def _file(gateway: Gateway, *, content: bytes = _CONTENT, **values: Any) -> str:
    file = a_file(bytes=len(content), **values)
    folder = gateway.settings.home / "files"
    folder.mkdir(exist_ok=True)
    (folder / file.id).write_bytes(content)
    FileRecords(gateway.database).add(file)
    return file.id


def _batch(gateway: Gateway) -> str:
    """One that seems to run elsewhere, so that nobody here ends it."""
    batch = a_batch(status=BatchStatus.IN_PROGRESS, attempt=1, leased_until=FAR)
    return BatchRecords(gateway.database).add(batch)


def _upload(gateway: Gateway, size: int) -> str:
    upload = NewUpload(
        tenant_id="acme",
        filename="data.bin",
        purpose="user_data",
        expires_after_s=None,
        bytes=size,
        mime_type="application/octet-stream",
    )
    services: Services = gateway.app.state.services
    return services.uploads.create(upload).id


def _job(gateway: Gateway, status: JobStatus) -> str:
    return JobRecords(gateway.database).add(a_job(status=status))


def _alias(gateway: Gateway, name: str) -> str:
    base = gateway.settings.base_model_name
    AliasRecords(gateway.database).add(a_revision(name=name, model=base))
    return name


def _permission(gateway: Gateway, model: str, project_id: str) -> str:
    permission = a_permission(model=model, project_id=project_id)
    PermissionRecords(gateway.database).add("acme", [permission])
    return permission.id


def _project(gateway: Gateway) -> str:
    return ProjectRecords(gateway.database).add(a_tenant(), {})


def _account(gateway: Gateway, project: str) -> str:
    account = a_service_account(tenant_id=project)
    ServiceAccountRecords(gateway.database).add(account, None)
    return account.id


def _key(gateway: Gateway, project: str) -> str:
    """One that every route of keys shows: it may administer."""
    key = a_key(tenant_id=project, scopes=ALL_SCOPES)
    KeyRecords(gateway.database).add(key)
    return key.id


def _endpoint(gateway: Gateway, url: str) -> str:
    return EndpointRecords(gateway.database).add(an_endpoint(url=url))

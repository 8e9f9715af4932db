"""Objects of tenant acme that are there before schemathesis starts, for it to find."""

from tests.rows import a_file, a_job, an_endpoint
from tests.unit.server.gateway.composed import Gateway
from tunery_server.records.files import FileRecords
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import JobStatus
from tunery_server.records.webhooks import EndpointRecords

EACH = 8
"""Some are deleted on the way."""
_CONTENT = b"What is known.\n"


def put(gateway: Gateway, url: str) -> dict[str, list[str]]:
    """Add them; the ids and names of each kind. ``url`` is the gateway's own."""
    return {
        "models": [gateway.settings.base_model_name],
        "adapters": [gateway.publish().model for _ in range(EACH)],
        "files": [_file(gateway) for _ in range(EACH)],
        "jobs": [_job(gateway, status) for status in _STATUSES for _ in range(EACH)],
        "endpoints": [_endpoint(gateway, url) for _ in range(EACH)],
        "urls": [url],
    }


_STATUSES = (JobStatus.QUEUED, JobStatus.PAUSED)


def _file(gateway: Gateway) -> str:
    file = a_file(bytes=len(_CONTENT))
    folder = gateway.settings.home / "files"
    folder.mkdir(exist_ok=True)
    (folder / file.id).write_bytes(_CONTENT)
    FileRecords(gateway.database).add(file)
    return file.id


def _job(gateway: Gateway, status: JobStatus) -> str:
    return JobRecords(gateway.database).add(a_job(status=status))


def _endpoint(gateway: Gateway, url: str) -> str:
    return EndpointRecords(gateway.database).add(an_endpoint(url=url))

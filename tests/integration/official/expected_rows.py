"""The rows behind the ids and names that the client's own tests use."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Table

from tests.rows import NOW, a_batch, a_file, a_job, a_permission, an_endpoint
from tunery_server.records import tables
from tunery_server.records.rows import (
    BatchStatus,
    JobCheckpoint,
    JobEvent,
    JobStatus,
    Upload,
    UploadPart,
)

from .calls import Call, values

TENANT = "official"
CONTENT = b"Example data"
"""Of every file and part."""
_SHA256 = hashlib.sha256(CONTENT).hexdigest()
_FAR = 1e11

Row = tuple[Table, Any]


def expected_rows(calls: Iterable[Call], test: str, url: str) -> Iterator[Row]:
    """What ``test`` wants to find. Webhooks go to ``url``."""
    yield from _files(calls, test)
    yield from _jobs(calls, JobStatus.PAUSED if "resume" in test else JobStatus.QUEUED)
    yield from _uploads(calls)
    yield from _batches(calls)
    yield from _permissions(calls)
    for endpoint_id in values(calls, "webhook_endpoint_id", "after", of="webhooks"):
        yield tables.webhook_endpoints, an_endpoint(id=endpoint_id, tenant_id=TENANT, url=url)


def _files(calls: Iterable[Call], test: str) -> Iterator[Row]:
    for file_id in values(calls, "training_file", "validation_file"):
        yield _file(file_id, purpose="fine-tune", examples=20)
    for file_id in values(calls, "input_file_id"):
        yield _file(file_id, purpose="batch")
    for file_id in values(calls, "file_id", of="files"):
        yield _file(file_id, purpose="user_data")
    for call in calls:
        if call.test == test.partition("[")[0]:
            for file_id in values([call], "after", of="files.list"):
                yield _file(file_id, purpose=call.given["purpose"])


def _file(file_id: str, *, purpose: str, examples: int | None = None) -> Row:
    file = a_file(
        id=file_id,
        tenant_id=TENANT,
        purpose=purpose,
        examples=examples,
        bytes=len(CONTENT),
        sha256=_SHA256,
    )
    return tables.files, file


def _jobs(calls: Iterable[Call], status: JobStatus) -> Iterator[Row]:
    jobs = "fine_tuning.jobs"
    for job_id in values(calls, "fine_tuning_job_id"):
        yield tables.jobs, a_job(id=job_id, tenant_id=TENANT, status=status)
        for number, given in enumerate(["first", *values(calls, "after", of=jobs)], 1):
            yield tables.job_events, _event(given, job_id, number)
            yield tables.job_checkpoints, _checkpoint(given, job_id, number)
    for job_id in values(calls, "after", of=f"{jobs}.list"):
        yield tables.jobs, a_job(id=job_id, tenant_id=TENANT, metadata={"foo": "string"})


def _event(event_id: str, job_id: str, number: int) -> JobEvent:
    return JobEvent(
        id=event_id,
        job_id=job_id,
        sequence=number,
        created_at=NOW,
        level="info",
        type="message",
        message="Created",
    )


def _checkpoint(checkpoint_id: str, job_id: str, step: int) -> JobCheckpoint:
    return JobCheckpoint(
        id=checkpoint_id,
        job_id=job_id,
        step=step,
        model=f"ft:base:official::x:ckpt-step-{step}",
        metrics={"step": float(step), "train_loss": 0.5},
        created_at=NOW,
    )


def _uploads(calls: Iterable[Call]) -> Iterator[Row]:
    for upload_id in values(calls, "upload_id"):
        upload = Upload(
            id=upload_id,
            tenant_id=TENANT,
            filename="data.txt",
            mime_type="text/plain",
            purpose="user_data",
            bytes=len(CONTENT),
            created_at=NOW,
            expires_at=_FAR,
        )
        yield tables.uploads, upload
        for part_id in values(calls, "part_ids"):
            yield tables.upload_parts, _part(part_id, upload_id)


def _part(part_id: str, upload_id: str) -> UploadPart:
    return UploadPart(
        id=part_id, upload_id=upload_id, bytes=len(CONTENT), sha256=_SHA256, created_at=NOW
    )


def _batches(calls: Iterable[Call]) -> Iterator[Row]:
    """Each seems to run elsewhere, so that nobody here goes on with it."""
    running = {"status": BatchStatus.IN_PROGRESS, "attempt": 1, "leased_until": _FAR}
    for batch_id in values(calls, "batch_id", "after", of="batches"):
        yield tables.batches, a_batch(id=batch_id, tenant_id=TENANT, **running)


def _permissions(calls: Iterable[Call]) -> Iterator[Row]:
    """One adapter may be used by two projects; a page begins after that of the project it names."""
    given = {
        (model, permission_id, (*values([call], "project_id"), "another")[0])
        for call in calls
        for model in values([call], "fine_tuned_model_checkpoint")
        for permission_id in values([call], "permission_id", "after")
    }
    for model, permission_id, project_id in sorted(given):
        yield (
            tables.permissions,
            a_permission(id=permission_id, model=model, project_id=project_id),
        )

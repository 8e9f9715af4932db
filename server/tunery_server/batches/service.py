"""A client's wishes on batches: create, look up, cancel."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from tunery_server.batches.transitions import before
from tunery_server.errors import InvalidRequest, NotFound
from tunery_server.files.service import BATCH
from tunery_server.ids import new_id
from tunery_server.records.batches import BatchRecords
from tunery_server.records.files import FileRecords
from tunery_server.records.idempotency import Sending, Submission
from tunery_server.records.rows import Batch, BatchStatus, Page

WINDOW_S = 24 * 3600
MAX_INPUT_BYTES = 200 * 2**20
"""OpenAI's bound on an input file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """A batch as asked for."""

    endpoint: str
    input_file: str
    metadata: dict[str, str] | None = None
    output_expires_after_s: int | None = None


class BatchService:
    """Batches of one tenant at a time. Blocking."""

    def __init__(
        self, *, batches: BatchRecords, files: FileRecords, clock: Callable[[], float]
    ) -> None:
        self._batches = batches
        self._files = files
        self._clock = clock

    def create(
        self, tenant_id: str, request: BatchRequest, sending: Sending | None = None
    ) -> Batch:
        """Write the batch; a runner finds it there and checks its lines.

        A repeat of a request (``sending``) gets the batch that the first one made. Raises
        InvalidRequest or NotFound naming the field.
        """
        submission = (sending or Sending()).of(
            "batches", asdict(request), tenant_id=tenant_id, now=self._clock()
        )
        return self._batches.made_by(submission) or self._create(tenant_id, request, submission)

    def get(self, tenant_id: str, batch_id: str) -> Batch:
        """The batch. Raises NotFound."""
        batch = self._batches.get(tenant_id, batch_id)
        if batch is None:
            raise NotFound(f"No batch with id {batch_id!r}.", param="batch_id")
        return batch

    def list(self, tenant_id: str, *, after: str | None, limit: int) -> Page[Batch]:
        """Newest first. Raises InvalidRequest when ``after`` names no batch."""
        return self._batches.list(tenant_id, after=after, limit=limit)

    def cancel(self, tenant_id: str, batch_id: str) -> Batch:
        """Cancel a batch that has not ended. A second cancel returns the batch as it is.

        Whoever runs it sees the state change at its next look. Raises InvalidRequest when the
        batch has ended otherwise.
        """
        batch = self.get(tenant_id, batch_id)
        cancelling = self._batches.change(
            batch.id,
            allowed=before(BatchStatus.CANCELLING),
            status=BatchStatus.CANCELLING,
            cancelling_at=self._clock(),
        )
        return cancelling or _cancelled_before(self.get(tenant_id, batch_id))

    def count_by_status(self) -> dict[str, int]:
        """How many batches of all tenants are in each state."""
        return self._batches.count_by_status()

    def _create(
        self, tenant_id: str, request: BatchRequest, submission: Submission | None
    ) -> Batch:
        self._check_input(tenant_id, request.input_file)
        now = self._clock()
        batch = Batch(
            id=new_id("batch_"),
            tenant_id=tenant_id,
            status=BatchStatus.VALIDATING,
            endpoint=request.endpoint,
            input_file=request.input_file,
            metadata=request.metadata,
            output_expires_after_s=request.output_expires_after_s,
            created_at=now,
            expires_at=now + WINDOW_S,
        )
        standing = self._batches.add(batch, submission)
        return batch if standing == batch.id else self.get(tenant_id, standing)

    def _check_input(self, tenant_id: str, file_id: str) -> None:
        file = self._files.get(tenant_id, file_id)
        if file is None:
            raise NotFound(f"No file with id {file_id!r}.", param="input_file_id")
        if file.purpose != BATCH:
            raise InvalidRequest(
                f"The file has purpose {file.purpose!r}; it must be uploaded with {BATCH!r}.",
                code="invalid_file",
                param="input_file_id",
            )
        if file.bytes > MAX_INPUT_BYTES:
            raise InvalidRequest(
                f"The file has {file.bytes} bytes; a batch reads at most {MAX_INPUT_BYTES}.",
                code="invalid_file",
                param="input_file_id",
            )


def _cancelled_before(batch: Batch) -> Batch:
    if batch.status in {BatchStatus.CANCELLING, BatchStatus.CANCELLED}:
        return batch
    raise InvalidRequest(
        f"The batch has already {batch.status}.", code="batch_not_cancellable", param="batch_id"
    )

"""``/v1/batches``."""

from typing import Literal

from pydantic import Field

from tunery_server.batches.service import BatchRequest
from tunery_server.gateway.protocol.base import (
    Answer,
    ListedBetween,
    Metadata,
    PlainText,
    Request,
    seconds,
)
from tunery_server.gateway.protocol.files import MAX_EXPIRY_S, MIN_EXPIRY_S
from tunery_server.records.rows import Batch, BatchStatus


class OutputExpiry(Request):
    """How long after they are made the result files are kept."""

    anchor: Literal["created_at"]
    seconds: int = Field(ge=MIN_EXPIRY_S, le=MAX_EXPIRY_S)


class CreateBatch(Request):
    """A batch: one endpoint, and a file with a request for it on every line."""

    completion_window: Literal["24h"]
    endpoint: Literal["/v1/chat/completions", "/v1/completions", "/v1/responses"]
    input_file_id: PlainText = Field(min_length=1, max_length=128)
    metadata: Metadata | None = None
    output_expires_after: OutputExpiry | None = None

    def request(self) -> BatchRequest:
        """What the batch service takes."""
        expiry = self.output_expires_after
        return BatchRequest(
            endpoint=self.endpoint,
            input_file=self.input_file_id,
            metadata=self.metadata,
            output_expires_after_s=expiry.seconds if expiry is not None else None,
        )


class BatchFault(Answer):
    """Why the input file cannot be used."""

    code: str
    message: str
    param: str | None
    line: int | None


class BatchFaults(Answer):
    """The first faults of an input file."""

    object: Literal["list"] = "list"
    data: tuple[BatchFault, ...]


class RequestCounts(Answer):
    """How many lines there are, and how many have their result."""

    total: int
    completed: int
    failed: int


class CachedTokens(Answer):
    """Of the input."""

    cached_tokens: int


class ReasoningTokens(Answer):
    """Of the output."""

    reasoning_tokens: int


class BatchUsage(Answer):
    """Tokens of all lines that have their result."""

    input_tokens: int
    input_tokens_details: CachedTokens
    output_tokens: int
    output_tokens_details: ReasoningTokens
    total_tokens: int

    @classmethod
    def of(cls, sums: dict[str, int]) -> "BatchUsage":
        """From the record's sums; all zero before the first result."""
        sent, made = sums.get("input", 0), sums.get("output", 0)
        return cls(
            input_tokens=sent,
            input_tokens_details=CachedTokens(cached_tokens=sums.get("cached", 0)),
            output_tokens=made,
            output_tokens_details=ReasoningTokens(reasoning_tokens=sums.get("reasoning", 0)),
            total_tokens=sent + made,
        )


class BatchObject(Answer):
    """A batch."""

    id: str
    object: Literal["batch"] = "batch"
    endpoint: str
    model: str | None
    errors: BatchFaults | None
    input_file_id: str
    completion_window: Literal["24h"] = "24h"
    status: BatchStatus
    output_file_id: str | None
    error_file_id: str | None
    created_at: int
    in_progress_at: int | None
    expires_at: int
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: RequestCounts
    usage: BatchUsage
    metadata: dict[str, str] | None

    @classmethod
    def of(cls, batch: Batch) -> "BatchObject":
        """From its record."""
        faults = tuple(BatchFault(**fault) for fault in batch.errors)
        return cls(
            id=batch.id,
            endpoint=batch.endpoint,
            model=batch.model,
            errors=BatchFaults(data=faults) if faults else None,
            input_file_id=batch.input_file,
            status=batch.status,
            output_file_id=batch.output_file,
            error_file_id=batch.error_file,
            created_at=int(batch.created_at),
            in_progress_at=seconds(batch.in_progress_at),
            expires_at=int(batch.expires_at),
            finalizing_at=seconds(batch.finalizing_at),
            completed_at=seconds(batch.completed_at),
            failed_at=seconds(batch.failed_at),
            expired_at=seconds(batch.expired_at),
            cancelling_at=seconds(batch.cancelling_at),
            cancelled_at=seconds(batch.cancelled_at),
            request_counts=RequestCounts(
                total=batch.total, completed=batch.completed, failed=batch.failed
            ),
            usage=BatchUsage.of(batch.usage),
            metadata=batch.metadata,
        )


class BatchList(ListedBetween[BatchObject]):
    """A page of batches."""

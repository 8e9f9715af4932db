"""Rows as frozen data. Times are Unix seconds; ids are random and never reused."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar

from tunery_adapters.spec import DataFormat
from tunery_server.limits.contract import UNLIMITED, Limits

T = TypeVar("T")


class JobStatus(StrEnum):
    """OpenAI's statuses, verbatim."""

    VALIDATING_FILES = "validating_files"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobMethod(StrEnum):
    """OpenAI's words, verbatim."""

    SUPERVISED = "supervised"
    DPO = "dpo"


HELD = frozenset({JobStatus.RUNNING, JobStatus.PAUSING})
"""States in which a job belongs to one attempt of one worker."""

WAITING = frozenset({JobStatus.VALIDATING_FILES, JobStatus.QUEUED, JobStatus.PAUSED})
"""States in which a job has not ended and no worker has it."""


class BatchStatus(StrEnum):
    """OpenAI's statuses, verbatim."""

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


class UploadStatus(StrEnum):
    """OpenAI's statuses, verbatim."""

    PENDING = "pending"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class AdapterStatus(StrEnum):
    """Durable state of a version. Whether the engine holds it is the engine's to say."""

    READY = "ready"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as stored: its digest, never the key."""

    id: str
    tenant_id: str
    name: str
    digest: str
    scopes: tuple[str, ...]
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    limits: Limits = UNLIMITED
    service_account_id: str | None = None
    """Whose it is; None for one that was made without an account."""
    last_used_at: float | None = None
    """To the minute."""

    def valid_at(self, now: float) -> bool:
        """Whether it opens anything."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasRevision:
    """What an alias meant from ``created_at`` until its next revision."""

    tenant_id: str
    name: str
    revision: int
    """Counts from 1 without a gap."""
    model: str | None
    """None: it was deleted."""
    canary: str | None = None
    canary_weight: float = 0.0
    """The share of requests, from 0 to 1, that the canary answers."""
    shadow: str | None = None
    """Gets a copy of each request, and its answers are thrown away."""
    created_at: float
    key_id: str
    """Who moved it."""
    reason: str
    comparison: dict[str, Any] | None = None
    """What the gate compared, where there was one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """An uploaded or generated file; its bytes lie in the file store under its id."""

    id: str
    tenant_id: str
    filename: str
    purpose: str
    bytes: int
    sha256: str
    created_at: float
    expires_at: float | None = None
    examples: int | None = None
    """Training examples in it; None for a file that is not a dataset."""
    format: DataFormat | None = None
    """Of its rows. None for a dataset of chats whose record does not say so, too."""
    longest_line: int | None = None
    """Of a dataset, in bytes; None where the record does not say."""

    @property
    def data_format(self) -> DataFormat:
        """Of a dataset's rows."""
        return self.format or "chat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that comes in parts."""

    id: str
    tenant_id: str
    filename: str
    mime_type: str
    purpose: str
    bytes: int
    """What the client says that all parts come to."""
    created_at: float
    expires_at: float
    expires_after_s: int | None = None
    """Of the file that it is going to be."""
    status: UploadStatus = UploadStatus.PENDING
    part_ids: tuple[str, ...] = ()
    """As it was completed with."""
    file_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadPart:
    """Some bytes of a pending upload. They lie under their hash, equal parts in one place."""

    id: str
    upload_id: str
    bytes: int
    sha256: str
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A fine-tuning job."""

    id: str
    tenant_id: str
    status: JobStatus
    model: str
    training_file: str
    validation_file: str | None
    suffix: str | None
    seed: int
    hyperparameters: dict[str, Any]
    """``n_epochs``, ``batch_size``, ``learning_rate_multiplier``, all resolved to numbers.

    And ``beta`` for direct preference optimisation, alone.
    """
    lora: dict[str, Any]
    metadata: dict[str, str] | None
    integrations: list[dict[str, Any]] | None = None
    """As they were asked for; nothing is sent anywhere."""
    training: dict[str, Any] | None = None
    """When it evaluates, when it stops, which step it keeps; None for what is so by default."""
    parent: str | None = None
    """The adapter that it goes on from, by its model name; ``model`` is its base all the same."""
    created_at: float
    attempt: int = 0
    """Grows with every claim; a write that carries an older one is refused."""
    losses: int = 0
    """How often a worker was lost while it ran this job."""
    started_at: float | None = None
    finished_at: float | None = None
    estimated_finish: float | None = None
    trained_tokens: int | None = None
    fine_tuned_model: str | None = None
    result_files: tuple[str, ...] = ()
    error: dict[str, Any] | None = None
    progress: dict[str, Any] | None = None
    timings: dict[str, float] | None = None
    priority: int = 0
    """Among the tenant's own jobs; the higher is the sooner."""
    memory_bytes: int = 0
    """What its trainer takes of a device at most, as estimated; 0 where that is not known."""
    waiting_since: float | None = None
    """Since when it waits for a worker, what it has run left out; None is since its creation."""
    not_before: float = 0.0
    """A job that has lost its worker is not started again at once."""
    key_id: str | None = None
    """Whose asked for it; None for nobody's, or where the record does not say."""
    work: dict[str, Any] | None = None
    """What was counted of it for its tenant's usage."""

    @property
    def method(self) -> JobMethod:
        """How it trains."""
        return JobMethod.DPO if "beta" in self.hyperparameters else JobMethod.SUPERVISED


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """One line of a job's history; ``sequence`` counts from 1 without a gap."""

    id: str
    job_id: str
    sequence: int
    created_at: float
    level: str
    type: str
    message: str
    data: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCheckpoint:
    """A checkpoint that is served under its own model name."""

    id: str
    job_id: str
    step: int
    model: str
    metrics: dict[str, float]
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Many inference requests in one file. A gateway that runs it holds a lease on it."""

    id: str
    tenant_id: str
    status: BatchStatus
    endpoint: str
    input_file: str
    metadata: dict[str, str] | None
    output_expires_after_s: int | None
    created_at: float
    expires_at: float
    attempt: int = 0
    """Grows with every claim; a write that carries an older one is refused."""
    leased_until: float = 0.0
    model: str | None = None
    """The model that every line names; None when they name several, or before they were read."""
    in_progress_at: float | None = None
    finalizing_at: float | None = None
    completed_at: float | None = None
    failed_at: float | None = None
    expired_at: float | None = None
    cancelling_at: float | None = None
    cancelled_at: float | None = None
    total: int = 0
    completed: int = 0
    failed: int = 0
    usage: dict[str, int] = field(default_factory=dict)
    """Sums over the lines: ``input``, ``cached``, ``output``, ``reasoning`` tokens."""
    errors: tuple[dict[str, Any], ...] = ()
    """Why the input file cannot be used: ``code``, ``message``, ``param``, ``line``."""
    output_file: str | None = None
    error_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """One immutable version of an adapter, in the folder ``adapter_id/v<version>``."""

    model: str
    """Public name, unique for all time; the engine knows the adapter by it, too."""
    adapter_id: str
    version: int
    tenant_id: str
    base_model: str
    job_id: str | None
    step: int | None
    rank: int
    alpha: float
    target_modules: tuple[str, ...]
    bytes: int
    sha256: str
    created_at: float
    status: AdapterStatus = AdapterStatus.READY
    metrics: dict[str, float] = field(default_factory=dict)
    parent: str | None = None
    """The adapter that its training went on from, by its model name."""
    retired_at: float | None = None
    removed_at: float | None = None
    """When its files went."""
    pinned: bool = False
    """It stays in the engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Another tenant, ``project_id``, may use the adapter ``model``."""

    id: str
    model: str
    project_id: str
    created_at: float


class EventType(StrEnum):
    """What a webhook tells of: the ends of jobs and batches, in OpenAI's words."""

    JOB_SUCCEEDED = "fine_tuning.job.succeeded"
    JOB_FAILED = "fine_tuning.job.failed"
    JOB_CANCELLED = "fine_tuning.job.cancelled"
    BATCH_COMPLETED = "batch.completed"
    BATCH_FAILED = "batch.failed"
    BATCH_CANCELLED = "batch.cancelled"
    BATCH_EXPIRED = "batch.expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEndpoint:
    """Where a tenant wants to be told. URL and secret stay out of logs, and so out of its repr."""

    id: str
    tenant_id: str
    name: str
    url: str = field(repr=False)
    event_types: tuple[EventType, ...]
    secret: str = field(repr=False)
    """``whsec_`` and base64; kept as it is, for signing needs it."""
    created_at: float
    disabled_at: float | None = None
    """When it answered that it is gone for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one endpoint."""

    event_id: str
    endpoint: WebhookEndpoint
    type: EventType
    object_id: str
    """The job or batch that ended."""
    created_at: float
    attempts: int
    """How often it was claimed for sending, this time included."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Part of a list; ``has_more`` says that the list goes on after the last item."""

    items: tuple[T, ...]
    has_more: bool

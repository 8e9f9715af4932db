"""The tables. ``migrations/`` builds them; a test holds the two together."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("tenant_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("digest", String, nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("revoked_at", Float),
)

files = Table(
    "files",
    metadata,
    Column("id", String, primary_key=True),
    Column("tenant_id", String, nullable=False),
    Column("filename", String, nullable=False),
    Column("purpose", String, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("sha256", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("examples", Integer),
    Index("ix_files_tenant_created", "tenant_id", "created_at", "id"),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", String, primary_key=True),
    Column("tenant_id", String, nullable=False),
    Column("filename", String, nullable=False),
    Column("mime_type", String, nullable=False),
    Column("purpose", String, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("expires_after_s", Integer),
    Column("status", String, nullable=False),
    Column("part_ids", JSON, nullable=False),
    Column("file_id", String),
    Index("ix_uploads_tenant_status", "tenant_id", "status"),
    Index("ix_uploads_status_expires", "status", "expires_at"),
)

upload_parts = Table(
    "upload_parts",
    metadata,
    Column("id", String, primary_key=True),
    Column(
        "upload_id",
        String,
        ForeignKey("uploads.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String, nullable=False),
    Column("created_at", Float, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String, primary_key=True),
    Column("tenant_id", String, nullable=False),
    Column("status", String, nullable=False, index=True),
    Column("model", String, nullable=False),
    Column("training_file", String, nullable=False),
    Column("validation_file", String),
    Column("suffix", String),
    Column("seed", Integer, nullable=False),
    Column("hyperparameters", JSON, nullable=False),
    Column("lora", JSON, nullable=False),
    Column("metadata", JSON(none_as_null=True)),
    Column("integrations", JSON(none_as_null=True)),
    Column("created_at", Float, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("losses", Integer, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("estimated_finish", Float),
    Column("trained_tokens", Integer),
    Column("fine_tuned_model", String),
    Column("result_files", JSON, nullable=False),
    Column("error", JSON(none_as_null=True)),
    Column("progress", JSON(none_as_null=True)),
    Column("timings", JSON(none_as_null=True)),
    Column("priority", Integer, nullable=False),
    Column("memory_bytes", BigInteger, nullable=False),
    Column("waiting_since", Float),
    Column("not_before", Float, nullable=False),
    Index("ix_jobs_tenant_created", "tenant_id", "created_at", "id"),
)

tenant_policies = Table(
    "tenant_policies",
    metadata,
    Column("tenant_id", String, primary_key=True),
    Column("weight", Float),
    Column("max_running", Integer),
    Column("max_waiting", Integer),
    Column("preemptible", Boolean),
)

job_events = Table(
    "job_events",
    metadata,
    Column("id", String, primary_key=True),
    Column("job_id", String, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("level", String, nullable=False),
    Column("type", String, nullable=False),
    Column("message", String, nullable=False),
    Column("data", JSON(none_as_null=True)),
    UniqueConstraint("job_id", "sequence"),
)

job_checkpoints = Table(
    "job_checkpoints",
    metadata,
    Column("id", String, primary_key=True),
    Column("job_id", String, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("step", Integer, nullable=False),
    Column("model", String, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    UniqueConstraint("job_id", "step"),
)

adapters = Table(
    "adapters",
    metadata,
    Column("model", String, primary_key=True),
    Column("adapter_id", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("tenant_id", String, nullable=False),
    Column("base_model", String, nullable=False),
    Column("job_id", String, index=True),
    Column("step", Integer),
    Column("rank", Integer, nullable=False),
    Column("alpha", Float, nullable=False),
    Column("target_modules", JSON, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("sha256", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("status", String, nullable=False),
    Column("metrics", JSON, nullable=False),
    UniqueConstraint("adapter_id", "version"),
    Index("ix_adapters_tenant_created", "tenant_id", "created_at", "model"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("tenant_id", String, primary_key=True),
    Column("operation", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("fingerprint", String, nullable=False),
    Column("object_id", String, nullable=False, index=True),
    Column("retry_counts", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False, index=True),
)

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("id", String, primary_key=True),
    Column("tenant_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("url", String, nullable=False),
    Column("event_types", JSON, nullable=False),
    Column("secret", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("disabled_at", Float),
    Index("ix_webhook_endpoints_tenant_created", "tenant_id", "created_at", "id"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("event_id", String, primary_key=True),
    Column(
        "endpoint_id",
        String,
        ForeignKey("webhook_endpoints.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("type", String, nullable=False),
    Column("object_id", String, nullable=False),
    Column("created_at", Float, nullable=False, index=True),
    Column("due_at", Float, index=True),
    Column("attempts", Integer, nullable=False),
    Column("outcome", String),
    Index("ix_webhook_deliveries_endpoint", "endpoint_id"),
)

permissions = Table(
    "permissions",
    metadata,
    Column("id", String, primary_key=True),
    Column("model", String, nullable=False),
    Column("project_id", String, nullable=False),
    Column("created_at", Float, nullable=False),
    UniqueConstraint("model", "project_id"),
)

batches = Table(
    "batches",
    metadata,
    Column("id", String, primary_key=True),
    Column("tenant_id", String, nullable=False),
    Column("status", String, nullable=False, index=True),
    Column("endpoint", String, nullable=False),
    Column("input_file", String, nullable=False),
    Column("metadata", JSON(none_as_null=True)),
    Column("output_expires_after_s", Integer),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("leased_until", Float, nullable=False),
    Column("model", String),
    Column("in_progress_at", Float),
    Column("finalizing_at", Float),
    Column("completed_at", Float),
    Column("failed_at", Float),
    Column("expired_at", Float),
    Column("cancelling_at", Float),
    Column("cancelled_at", Float),
    Column("total", Integer, nullable=False),
    Column("completed", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("usage", JSON, nullable=False),
    Column("errors", JSON, nullable=False),
    Column("output_file", String),
    Column("error_file", String),
    Index("ix_batches_tenant_created", "tenant_id", "created_at", "id"),
)

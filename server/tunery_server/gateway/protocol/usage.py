"""Usage on the wire: our own list by day, and OpenAI's buckets."""

from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Literal

from tunery_server.gateway.protocol.base import Answer
from tunery_server.records.usage_rows import UsageRow
from tunery_server.serving.usage_reports import Storage

DAY_S = 86_400


class UsageObject(Answer):
    """What was used in one day (UTC) by what was told apart; the rest is null.

    A training counts under the adapter that it makes. Its energy is null where no device counts it.
    """

    object: Literal["usage"] = "usage"
    date: date
    project_id: str
    api_key_id: str | None
    model: str | None
    batch: bool | None
    requests: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    trained_tokens: int
    training_seconds: float
    training_energy_joules: float | None

    @classmethod
    def of(cls, row: UsageRow, tenant_id: str, by: tuple[str, ...]) -> "UsageObject":
        """From a sum of one tenant's."""
        key, amounts = row.key, row.amounts
        return cls(
            date=datetime.fromtimestamp(key.hour, UTC).date(),
            project_id=tenant_id,
            api_key_id=key.key_id if "key_id" in by else None,
            model=key.model if "model" in by else None,
            batch=key.background if "background" in by else None,
            requests=amounts.requests,
            input_tokens=amounts.input_tokens,
            cached_tokens=amounts.cached_tokens,
            output_tokens=amounts.output_tokens,
            trained_tokens=amounts.trained_tokens,
            training_seconds=amounts.training_s,
            training_energy_joules=amounts.energy_j,
        )


class StorageObject(Answer):
    """What a tenant keeps at this moment, pending uploads included, and what it may keep."""

    files: int
    max_files: int
    file_bytes: int
    max_file_bytes: int
    adapters: int
    max_adapters: int
    adapter_bytes: int
    max_adapter_bytes: int

    @classmethod
    def of(cls, storage: Storage) -> "StorageObject":
        """From the counts that refuse more, and the tenant's policy."""
        limits = {name: getattr(storage.policy, f"max_{name}") for name in asdict(storage.kept)}
        return cls(**asdict(storage.kept), **{f"max_{name}": most for name, most in limits.items()})


class UsageList(Answer):
    """A tenant's usage, oldest first, and what it keeps."""

    object: Literal["list"] = "list"
    data: tuple[UsageObject, ...]
    storage: StorageObject


class UsageResult(Answer):
    """As OpenAI's, for inference."""

    object: Literal["organization.usage.completions.result"] = (
        "organization.usage.completions.result"
    )
    input_tokens: int
    output_tokens: int
    input_cached_tokens: int
    num_model_requests: int
    project_id: str | None
    user_id: None = None
    api_key_id: str | None
    model: str | None
    batch: bool | None

    @classmethod
    def of(cls, row: UsageRow, by: tuple[str, ...]) -> "UsageResult":
        """From a sum over any tenants."""
        key, amounts = row.key, row.amounts
        return cls(
            input_tokens=amounts.input_tokens,
            output_tokens=amounts.output_tokens,
            input_cached_tokens=amounts.cached_tokens,
            num_model_requests=amounts.requests,
            project_id=key.tenant_id if "tenant_id" in by else None,
            api_key_id=key.key_id if "key_id" in by else None,
            model=key.model if "model" in by else None,
            batch=key.background if "background" in by else None,
        )


class UsageBucket(Answer):
    """One period."""

    object: Literal["bucket"] = "bucket"
    start_time: int
    end_time: int
    results: tuple[UsageResult, ...]


class UsagePage(Answer):
    """A page of periods, oldest first."""

    object: Literal["page"] = "page"
    data: tuple[UsageBucket, ...]
    has_more: bool
    next_page: str | None

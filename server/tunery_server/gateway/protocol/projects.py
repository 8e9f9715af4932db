"""``/v1/organization/projects`` and their rate limits; a project is a tenant."""

from typing import Annotated, Any, Literal

from pydantic import Field

from tunery_server.gateway.protocol.base import (
    Answer,
    ListedBetween,
    NotOffered,
    PlainText,
    Request,
    seconds,
)
from tunery_server.limits.contract import Limits
from tunery_server.tenants.projects import Project

Name = Annotated[PlainText, Field(min_length=1, max_length=128)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
_Bytes = Annotated[int, Field(ge=0, le=2**53)]
_Weight = Annotated[float, Field(ge=0.001, le=1e6)]

_POLICY = {
    "weight": "weight",
    "max_running_jobs": "max_running",
    "max_waiting_jobs": "max_waiting",
    "preemptible": "preemptible",
    "max_files": "max_files",
    "max_file_bytes": "max_file_bytes",
    "max_adapters": "max_adapters",
    "max_adapter_bytes": "max_adapter_bytes",
}
"""Fields of ours, and what the record calls them."""

RATE_LIMITS = {
    "requests_per_minute": "max_requests_per_1_minute",
    "tokens_per_minute": "max_tokens_per_1_minute",
    "concurrent_requests": "max_concurrent_requests",
}
"""What the record calls a limit, and the wire."""

RATE_LIMIT_ID = "rl-all"


class _Policy(Request):
    """Ours: what the project may have. What is not given, or null, stays as it is."""

    weight: _Weight | None = None
    max_running_jobs: Count | None = None
    max_waiting_jobs: Count | None = None
    preemptible: bool | None = None
    max_files: Count | None = None
    max_file_bytes: _Bytes | None = None
    max_adapters: Count | None = None
    max_adapter_bytes: _Bytes | None = None
    external_key_id: NotOffered = None
    geography: NotOffered = None

    def policy(self) -> dict[str, Any]:
        """What was given, as the record has it."""
        given = {theirs: getattr(self, ours) for ours, theirs in _POLICY.items()}
        return {name: value for name, value in given.items() if value is not None}


class CreateProject(_Policy):
    """A new project."""

    name: Name
    residency: NotOffered = None


class UpdateProject(_Policy):
    """What is to change."""

    name: Name | None = None


class ProjectObject(Answer):
    """A project. From ``weight`` on, fields are ours."""

    id: str
    object: Literal["organization.project"] = "organization.project"
    name: str
    created_at: int
    archived_at: int | None
    status: Literal["active", "archived"]
    external_key_id: None = None
    residency: None = None
    weight: float
    max_running_jobs: int
    max_waiting_jobs: int
    preemptible: bool
    max_files: int
    max_file_bytes: int
    max_adapters: int
    max_adapter_bytes: int

    @classmethod
    def of(cls, project: Project) -> "ProjectObject":
        """From its record."""
        tenant, policy = project.tenant, project.policy
        return cls(
            id=tenant.id,
            name=tenant.name,
            created_at=int(tenant.created_at),
            archived_at=seconds(tenant.archived_at),
            status="active" if tenant.archived_at is None else "archived",
            **{ours: getattr(policy, theirs) for ours, theirs in _POLICY.items()},
        )


class ProjectList(ListedBetween[ProjectObject]):
    """A page of projects."""


class UpdateRateLimit(Request):
    """New limits; 0 is no bound. What is not given stays as it is."""

    max_requests_per_1_minute: Count | None = None
    max_tokens_per_1_minute: Count | None = None
    max_concurrent_requests: Count | None = None
    batch_1_day_max_input_tokens: NotOffered = None
    max_audio_megabytes_per_1_minute: NotOffered = None
    max_images_per_1_minute: NotOffered = None
    max_requests_per_1_day: NotOffered = None

    def policy(self) -> dict[str, Any]:
        """What was given, as the record has it."""
        given = {name: getattr(self, on_wire) for name, on_wire in RATE_LIMITS.items()}
        return {name: value for name, value in given.items() if value is not None}


class RateLimitObject(Answer):
    """A project's limits on inference: one set for all models. ``max_concurrent_requests`` is ours.

    0 is no bound.
    """

    id: str = RATE_LIMIT_ID
    object: Literal["project.rate_limit"] = "project.rate_limit"
    model: str = "*"
    max_requests_per_1_minute: int
    max_tokens_per_1_minute: int
    max_concurrent_requests: int
    batch_1_day_max_input_tokens: None = None
    max_audio_megabytes_per_1_minute: None = None
    max_images_per_1_minute: None = None
    max_requests_per_1_day: None = None

    @classmethod
    def of(cls, limits: Limits) -> "RateLimitObject":
        """From the record."""
        return cls(**{on_wire: getattr(limits, name) for name, on_wire in RATE_LIMITS.items()})


class RateLimitList(Answer):
    """The one set of limits that a project has."""

    object: Literal["list"] = "list"
    data: tuple[RateLimitObject, ...]
    first_id: str | None
    last_id: str | None
    has_more: Literal[False] = False

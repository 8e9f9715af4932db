"""Which of our types stands for which of theirs, and where the two differ on purpose."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from openai import types as theirs
from openai.pagination import SyncConversationCursorPage, SyncCursorPage, SyncPage
from openai.types import fine_tuning
from openai.types.admin import organization
from openai.types.admin.organization import projects as project_types
from openai.types.admin.organization.projects import service_accounts
from openai.types.chat.completion_create_params import CompletionCreateParamsBase as ChatParams
from openai.types.completion_create_params import CompletionCreateParamsBase as CompletionParams
from openai.types.fine_tuning import checkpoints
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint
from openai.types.uploads import UploadPart

from tunery_server.gateway.protocol import (
    batches,
    chat,
    completions,
    files,
    job_objects,
    jobs,
    keys,
    models,
    permissions,
    projects,
    uploads,
)

_EVALS = "the package does not read the purpose `evals`, which it sends"
_PAUSED = "`pausing` and `paused`, which OpenAI's server sends and the package does not know"
_FORM = "a form says `expires_after[anchor]` and `expires_after[seconds]`"
_RESIDENCY = "refused: there is one place"
_IN_PATH = "in the path"
_ONE_LIMIT = "refused: requests and tokens a minute are limited"
_OUR_SCOPES = "the scopes of this server"
_METHODS = "supervised training and DPO are the methods"


@dataclass(frozen=True)
class Pair:
    """Their type, ours, and paths in theirs that ours does not fill or take, with the reason."""

    theirs: Any
    ours: Any
    exceptions: Mapping[str, str] = field(default_factory=dict)
    depth: int | None = None
    """Steps of a path that are told apart; by default all."""
    called: str | None = None
    """Their type's name, where its own is not telling."""

    @property
    def name(self) -> str:
        """Of their type."""
        return self.called or str(self.theirs.__name__)


ANSWERS = (
    Pair(theirs.Batch, batches.BatchObject),
    Pair(theirs.FileObject, files.FileObject, {"purpose": _EVALS}),
    Pair(theirs.FileDeleted, files.FileDeleted),
    Pair(fine_tuning.FineTuningJob, job_objects.FineTuningJob, {"status": _PAUSED}),
    Pair(fine_tuning.FineTuningJobEvent, job_objects.Event),
    Pair(FineTuningJobCheckpoint, job_objects.Checkpoint),
    Pair(checkpoints.PermissionListResponse, permissions.PermissionObject),
    Pair(checkpoints.PermissionDeleteResponse, permissions.PermissionDeleted),
    Pair(theirs.Model, models.Model),
    Pair(theirs.ModelDeleted, models.ModelDeleted),
    Pair(theirs.Upload, uploads.UploadObject, {"file.purpose": _EVALS}),
    Pair(UploadPart, uploads.UploadPartObject),
    Pair(SyncCursorPage[theirs.Batch], batches.BatchList),
    Pair(SyncCursorPage[theirs.FileObject], files.FileList, {"data.purpose": _EVALS}),
    Pair(SyncCursorPage[FineTuningJobCheckpoint], job_objects.CheckpointList),
    Pair(SyncCursorPage[fine_tuning.FineTuningJobEvent], job_objects.EventList),
    Pair(SyncCursorPage[fine_tuning.FineTuningJob], job_objects.JobList, {"data.status": _PAUSED}),
    Pair(
        SyncConversationCursorPage[checkpoints.PermissionListResponse], permissions.PermissionList
    ),
    Pair(SyncPage[theirs.Model], models.ModelList),
    Pair(organization.Project, projects.ProjectObject),
    Pair(SyncConversationCursorPage[organization.Project], projects.ProjectList),
    Pair(project_types.ProjectRateLimit, projects.RateLimitObject),
    Pair(SyncConversationCursorPage[project_types.ProjectRateLimit], projects.RateLimitList),
    Pair(project_types.ProjectServiceAccount, keys.ServiceAccountObject),
    Pair(SyncConversationCursorPage[project_types.ProjectServiceAccount], keys.ServiceAccountList),
    Pair(project_types.ServiceAccountCreateResponse, keys.NewServiceAccount),
    Pair(project_types.ServiceAccountDeleteResponse, keys.ServiceAccountDeleted),
    Pair(service_accounts.APIKeyCreateResponse, keys.ServiceAccountKey),
    Pair(project_types.ProjectAPIKey, keys.ApiKeyObject),
    Pair(SyncConversationCursorPage[project_types.ProjectAPIKey], keys.ApiKeyList),
    Pair(project_types.APIKeyDeleteResponse, keys.ApiKeyDeleted, called="ApiKeyDeleteResponse"),
    Pair(organization.AdminAPIKey, keys.AdminKeyObject),
    Pair(organization.AdminAPIKeyCreateResponse, keys.AdminKeyWithValue),
    Pair(organization.AdminAPIKeyDeleteResponse, keys.AdminKeyDeleted),
    Pair(SyncCursorPage[organization.AdminAPIKey], keys.AdminKeyList),
)
"""What the server sends and the client reads."""

REQUESTS = (
    Pair(
        theirs.BatchCreateParams,
        batches.CreateBatch,
        {"endpoint": "chats, completions and responses"},
    ),
    Pair(theirs.FileCreateParams, files.FileForm, {"expires_after": _FORM}),
    Pair(
        fine_tuning.JobCreateParams,
        jobs.CreateJob,
        {
            "method.type": _METHODS,
            "method.reinforcement": f"any object, for {_METHODS}",
        },
    ),
    Pair(checkpoints.PermissionCreateParams, permissions.CreatePermissions),
    Pair(
        organization.ProjectCreateParams,
        projects.CreateProject,
        {"external_key_id": "refused", "geography": _RESIDENCY, "residency": _RESIDENCY},
    ),
    Pair(
        organization.ProjectUpdateParams,
        projects.UpdateProject,
        {"external_key_id": "refused", "geography": _RESIDENCY},
    ),
    Pair(
        project_types.RateLimitUpdateRateLimitParams,
        projects.UpdateRateLimit,
        {
            "project_id": _IN_PATH,
            "batch_1_day_max_input_tokens": _ONE_LIMIT,
            "max_audio_megabytes_per_1_minute": _ONE_LIMIT,
            "max_images_per_1_minute": _ONE_LIMIT,
            "max_requests_per_1_day": _ONE_LIMIT,
        },
    ),
    Pair(project_types.ServiceAccountCreateParams, keys.CreateServiceAccount),
    Pair(
        service_accounts.APIKeyCreateParams,
        keys.CreateServiceAccountKey,
        {"project_id": _IN_PATH, "scopes": _OUR_SCOPES},
    ),
    Pair(organization.AdminAPIKeyCreateParams, keys.CreateAdminKey),
    Pair(theirs.UploadCreateParams, uploads.CreateUpload),
    Pair(theirs.UploadCompleteParams, uploads.CompleteUpload),
    Pair(
        ChatParams,
        chat.ChatRequest,
        {
            "audio": "refused",
            "function_call": "refused: use `tool_choice`",
            "functions": "refused: use `tools`",
            "messages": "text and function calls",
            "modalities": "text",
            "moderation": "refused",
            "prediction": "refused",
            "reasoning_effort": "refused",
            "tool_choice": "functions",
            "tools": "functions",
            "verbosity": "`medium`",
            "web_search_options": "refused",
        },
        depth=1,
        called="chat.CompletionCreateParams",
    ),
    Pair(
        CompletionParams,
        completions.CompletionRequest,
        {"prompt": "required", "suffix": "refused"},
        depth=1,
        called="CompletionCreateParams",
    ),
)
"""What the client sends and the server reads."""

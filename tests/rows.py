"""Rows of the record with every field filled, for tests that care about a few of them."""

from dataclasses import replace
from typing import Any

from tunery_server.ids import new_id
from tunery_server.records.rows import (
    Adapter,
    AliasRevision,
    ApiKey,
    Batch,
    BatchStatus,
    EventType,
    File,
    Job,
    JobStatus,
    Permission,
    WebhookEndpoint,
)
from tunery_server.records.tenant_rows import ServiceAccount, Tenant

NOW = 1_800_000_000.0


def a_job(**values: Any) -> Job:
    job = Job(
        id=new_id("ftjob-"),
        tenant_id="acme",
        status=JobStatus.QUEUED,
        model="base",
        training_file="file-training",
        validation_file=None,
        suffix="pirate",
        seed=7,
        hyperparameters={"n_epochs": 3, "batch_size": 2, "learning_rate_multiplier": 1.0},
        lora={"rank": 8, "alpha": 16.0, "dropout": 0.0},
        metadata=None,
        created_at=NOW,
    )
    return replace(job, **values)


def a_batch(**values: Any) -> Batch:
    batch = Batch(
        id=new_id("batch_"),
        tenant_id="acme",
        status=BatchStatus.VALIDATING,
        endpoint="/v1/chat/completions",
        input_file="file-input",
        metadata=None,
        output_expires_after_s=None,
        created_at=NOW,
        expires_at=NOW + 86_400,
    )
    return replace(batch, **values)


def a_file(**values: Any) -> File:
    file = File(
        id=new_id("file-"),
        tenant_id="acme",
        filename="train.jsonl",
        purpose="fine-tune",
        bytes=100,
        sha256="0" * 64,
        created_at=NOW,
        examples=20,
    )
    return replace(file, **values)


def an_adapter(**values: Any) -> Adapter:
    identity = new_id("")
    adapter = Adapter(
        model=f"ft:base:tunery::{identity}",
        adapter_id=f"ad-{identity}",
        version=1,
        tenant_id="acme",
        base_model="base",
        job_id=f"ftjob-{identity}",
        step=10,
        rank=8,
        alpha=16.0,
        target_modules=("q_proj",),
        bytes=1000,
        sha256="0" * 64,
        created_at=NOW,
        metrics={"train_loss": 0.5},
    )
    return replace(adapter, **values)


def a_revision(**values: Any) -> AliasRevision:
    revision = AliasRevision(
        tenant_id="acme",
        name="bot",
        revision=1,
        model="ft:base:tunery::x",
        created_at=NOW,
        key_id="key-1",
        reason="created",
    )
    return replace(revision, **values)


def a_permission(**values: Any) -> Permission:
    permission = Permission(
        id=new_id("cp_"), model="ft:base:tunery::x", project_id="rival", created_at=NOW
    )
    return replace(permission, **values)


def a_key(**values: Any) -> ApiKey:
    key = ApiKey(
        id=new_id("key-"),
        tenant_id="acme",
        name="test",
        digest=new_id(""),
        scopes=("inference",),
        created_at=NOW,
    )
    return replace(key, **values)


def a_tenant(**values: Any) -> Tenant:
    identity = new_id("proj_")
    return replace(Tenant(id=identity, name="Acme", created_at=NOW), **values)


def a_service_account(**values: Any) -> ServiceAccount:
    account = ServiceAccount(id=new_id("svc_acct_"), tenant_id="acme", name="ci", created_at=NOW)
    return replace(account, **values)


def an_endpoint(**values: Any) -> WebhookEndpoint:
    endpoint = WebhookEndpoint(
        id=new_id("we_"),
        tenant_id="acme",
        name="test",
        url="https://hooks.example.com/in",
        event_types=tuple(EventType),
        secret="whsec_c2VjcmV0LW9mLXRoZS10ZXN0cw==",
        created_at=NOW,
    )
    return replace(endpoint, **values)

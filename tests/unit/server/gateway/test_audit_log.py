"""Who changed what, as an administrator reads it."""

import time
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from sqlalchemy import select

from tests.unit.server.gateway.every_route import ROWS
from tunery_server.gateway.deps import Services
from tunery_server.records.audit import AuditFilter, AuditRecords
from tunery_server.records.keys import KeyRecords
from tunery_server.records.tables import audit_log
from tunery_server.records.tenant_rows import AuditEntry

from .composed import Gateway

MARK = "xyzzy-secret-words"


def entries(gateway: Gateway) -> list[AuditEntry]:
    """All, oldest first."""
    page = AuditRecords(gateway.database).list(AuditFilter(), limit=1000)
    return list(page.items[::-1])


def logs(client: AsyncOpenAI, **query: Any) -> Any:
    return client.admin.organization.audit_logs.list(**query)


async def administer(client: AsyncOpenAI) -> tuple[str, Any]:
    """One of each deed of an administrator's: the project, and the account with its key."""
    organization = client.admin.organization
    project = await organization.projects.create(name="Acme")
    made = await organization.projects.service_accounts.create(project.id, name="ci")
    assert made.api_key is not None
    await organization.projects.update(project.id, name="Acme & Sons")
    await organization.projects.rate_limits.update_rate_limit(
        "rl-all", project_id=project.id, max_requests_per_1_minute=7
    )
    await organization.projects.api_keys.delete(made.api_key.id, project_id=project.id)
    await organization.projects.service_accounts.delete(made.id, project_id=project.id)
    await organization.projects.archive(project.id)
    return project.id, made


ADMINISTRATIVE = [
    "project.created",
    "service_account.created",
    "api_key.created",
    "project.updated",
    "rate_limit.updated",
    "api_key.deleted",
    "service_account.deleted",
    "project.archived",
]


async def test_the_stock_client_reads_what_administrators_did(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        project, made = await administer(client)
        found = [entry async for entry in logs(client, project_ids=[project], limit=3)]
    assert [entry.type for entry in found][::-1] == ADMINISTRATIVE
    by_type = {entry.type: entry for entry in found}
    [own, *_] = [key for key in KeyRecords(gateway.database).list() if key.tenant_id == "acme"]
    for entry in found:
        assert entry.actor.type == "api_key"
        assert entry.actor.api_key.id == own.id
        assert entry.project.id == project
        assert entry.effective_at == pytest.approx(time.time(), abs=60)
        assert entry.model_extra["request_id"].startswith("req_")
    key = by_type["api_key.created"].api_key_created
    assert key.id == made.api_key.id
    assert key.data.scopes == ["inference", "files", "jobs", "adapters"]
    limits = by_type["rate_limit.updated"].rate_limit_updated
    assert limits.changes_requested.max_requests_per_1_minute == 7
    assert by_type["project.updated"].project_updated.changes_requested.model_extra == {
        "name": "Acme & Sons"
    }


async def test_it_says_what_tenants_did(gateway: Gateway) -> None:
    shared = gateway.publish(tenant="rival").model
    key = gateway.rival_key
    async with gateway.openai(key) as rival, gateway.http(key) as http:
        file = await rival.files.create(file=("a.jsonl", ROWS), purpose="fine-tune")
        job = await rival.fine_tuning.jobs.create(model="base", training_file=file.id)
        for deed in ("pause", "resume", "cancel"):
            await http.post(f"/v1/fine_tuning/jobs/{job.id}/{deed}")
        permissions = rival.fine_tuning.checkpoints.permissions
        [granted] = [one async for one in permissions.create(shared, project_ids=["acme"])]
        await permissions.delete(granted.id, fine_tuned_model_checkpoint=shared)
        await rival.models.delete(shared)
        await rival.files.delete(file.id)
        lines = await rival.files.create(file=("b.jsonl", b"{}"), purpose="batch")
        batch = await rival.batches.create(
            input_file_id=lines.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        await rival.batches.cancel(batch.id)
    told = [(entry.type, entry.object_id) for entry in entries(gateway)]
    assert told == [
        ("file.created", file.id),
        ("fine_tuning.job.created", job.id),
        ("fine_tuning.job.paused", job.id),
        ("fine_tuning.job.resumed", job.id),
        ("fine_tuning.job.cancelled", job.id),
        ("checkpoint.permission.created", granted.id),
        ("checkpoint.permission.deleted", granted.id),
        ("adapter.deleted", shared),
        ("file.deleted", file.id),
        ("file.created", lines.id),
        ("batch.created", batch.id),
        ("batch.cancelled", batch.id),
    ]
    assert {(entry.tenant_id, entry.key_tenant_id) for entry in entries(gateway)} == {
        ("rival", "rival")
    }


async def test_it_says_what_an_alias_came_to_mean(gateway: Gateway) -> None:
    async with gateway.http(gateway.rival_key) as http:
        await http.post("/v1/aliases", json={"name": "bot", "model": "base"})
        await http.delete("/v1/aliases/bot")
    told = [(entry.type, entry.object_id, entry.details) for entry in entries(gateway)]
    assert told == [("alias.moved", "bot", {"model": "base"}), ("alias.deleted", "bot", {})]


async def test_what_was_refused_or_read_is_not_in_it(gateway: Gateway) -> None:
    async with gateway.http(gateway.rival_key) as http:
        await http.get("/v1/files")
        await http.delete("/v1/files/file-none")
        await http.post("/v1/organization/projects", json={"name": "x"})
        await http.post("/v1/chat/completions", json={"model": "base", "messages": []})
    assert entries(gateway) == []


async def test_it_holds_no_secret_and_no_content(gateway: Gateway) -> None:
    rows = b'{"messages":[{"role":"user","content":"%s"},{"role":"assistant","content":"b"}]}\n'
    async with gateway.openai() as client:
        _, made = await administer(client)
        file = {"file": (f"{MARK}.jsonl", rows % MARK.encode() * 10), "purpose": "fine-tune"}
        training = await client.files.create(**file)  # type: ignore[call-overload]
        await client.fine_tuning.jobs.create(
            model="base", training_file=training.id, metadata={"note": MARK}
        )
    with gateway.database.reading() as connection:
        text = repr(connection.execute(select(audit_log)).all())
    assert made.api_key.id in text
    assert MARK not in text
    for secret in (made.api_key.value, gateway.key):
        assert secret[10:] not in text


async def test_a_repeat_is_one_deed(gateway: Gateway) -> None:
    async with gateway.http() as http:
        for _ in range(2):
            headers = {"Idempotency-Key": "once"}
            await http.post("/v1/organization/projects", json={"name": "x"}, headers=headers)
    assert [entry.type for entry in entries(gateway)] == ["project.created"]


async def test_what_expires_is_deleted_by_nobody(gateway: Gateway) -> None:
    services: Services = gateway.app.state.services
    form = {
        "purpose": "user_data",
        "expires_after[anchor]": "created_at",
        "expires_after[seconds]": "3600",
    }
    async with gateway.http() as http:
        await http.post("/v1/files", data=form, files={"file": ("a", b"x")})
        services.files._clock = lambda: time.time() + 7200
        assert (await http.get("/v1/files")).json()["data"] == []
    assert [entry.type for entry in entries(gateway)] == ["file.created"]


class TestLists:
    async def test_filters_hold_together(self, gateway: Gateway) -> None:
        async with gateway.openai() as client:
            project, made = await administer(client)
            await client.admin.organization.projects.create(name="Other")
            now = int(time.time())
            for query, count in (
                ({"event_types": ["project.created"]}, 2),
                ({"event_types": ["project.created"], "project_ids": [project]}, 1),
                ({"resource_ids": [made.id]}, 2),
                ({"actor_ids": ["key-none"]}, 0),
                ({"actor_emails": ["a@example.com"]}, 0),
                ({"tenant_only": True}, 0),
                ({"effective_at": {"gte": now - 60, "lt": now + 60}}, 9),
                ({"effective_at": {"gt": now + 60}}, 0),
                ({"effective_at": {"lte": now - 60}}, 0),
            ):
                found = [entry async for entry in logs(client, **query)]
                assert len(found) == count, query

    async def test_pages_go_both_ways(self, gateway: Gateway) -> None:
        async with gateway.openai() as client:
            await administer(client)
            everything = [entry.id async for entry in logs(client)]
            before = await logs(client, before=everything[4], limit=3)
            assert [entry.id for entry in before.data] == everything[1:4]
            assert before.has_more
            assert (await logs(client, before=everything[1], limit=3)).has_more is False
            with pytest.raises(openai.BadRequestError):
                await logs(client, before=everything[1], after=everything[2])
            with pytest.raises(openai.BadRequestError):
                await logs(client, after="audit_log-none")

    async def test_a_tenants_own_key_does_not_read_it(self, gateway: Gateway) -> None:
        async with gateway.openai(gateway.rival_key) as rival:
            with pytest.raises(openai.PermissionDeniedError):
                await logs(rival)


async def test_it_is_kept_for_as_long_as_the_setting_says(gateway: Gateway) -> None:
    services: Services = gateway.app.state.services
    async with gateway.openai() as client:
        await administer(client)
    services.administration.audit_log.sweep()
    assert len(entries(gateway)) == len(ADMINISTRATIVE)
    days = gateway.settings.audit_retention_days
    services.administration.audit_log._clock = lambda: time.time() + days * 86_400 + 60
    services.administration.audit_log.sweep()
    assert entries(gateway) == []

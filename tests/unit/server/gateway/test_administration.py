"""Tenants, keys and limits, through the stock client: OpenAI's administration API."""

import time
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tunery_server.gateway.auth import ADMIN, INFERENCE
from tunery_server.records.keys import KeyRecords
from tunery_server.records.rows import ApiKey

from .composed import Gateway

MESSAGES: Any = [{"role": "user", "content": "hi"}]


def organization(client: AsyncOpenAI) -> Any:
    return client.admin.organization


async def chat(gateway: Gateway, key: str, **headers: str) -> int:
    body = {"model": "base", "messages": MESSAGES}
    async with gateway.http(key) as http:
        answer = await http.post("/v1/chat/completions", json=body, headers=headers)
    return answer.status_code


async def an_account(gateway: Gateway, **extra: Any) -> tuple[str, Any]:
    """A new project, and an account in it with its key."""
    async with gateway.openai() as client:
        projects = organization(client).projects
        project = await projects.create(name="Acme")
        made = await projects.service_accounts.create(project.id, name="ci", extra_body=extra)
    return project.id, made


def stored(gateway: Gateway, key_id: str) -> ApiKey:
    key = KeyRecords(gateway.database).get(key_id)
    assert key is not None
    return key


class TestProjects:
    async def test_from_its_making_to_its_archival(self, gateway: Gateway) -> None:
        async with gateway.openai() as client:
            projects = organization(client).projects
            made = await projects.create(name="Acme")
            assert made.id.startswith("proj_")
            assert (made.name, made.status, made.archived_at) == ("Acme", "active", None)
            assert await projects.retrieve(made.id) == made
            assert (await projects.update(made.id, name="Acme & Sons")).name == "Acme & Sons"
            assert made.id in [project.id async for project in projects.list(limit=1)]
            archived = await projects.archive(made.id)
            assert archived.status == "archived"
            assert archived.archived_at == pytest.approx(time.time(), abs=60)
            assert made.id not in [project.id async for project in projects.list()]
            everyone = projects.list(include_archived=True)
            assert made.id in [project.id async for project in everyone]

    async def test_every_tenant_with_a_key_is_one(self, gateway: Gateway) -> None:
        async with gateway.openai() as client:
            found = [project.id async for project in organization(client).projects.list()]
        assert {"acme", "rival"} <= set(found)

    async def test_what_it_may_have_is_in_fields_of_ours(self, gateway: Gateway) -> None:
        wanted = {
            "weight": 2.5,
            "max_running_jobs": 3,
            "max_waiting_jobs": 4,
            "preemptible": True,
            "max_files": 5,
            "max_file_bytes": 2**40,
            "max_adapters": 7,
            "max_adapter_bytes": 2**41,
        }
        async with gateway.openai() as client:
            projects = organization(client).projects
            made = await projects.create(name="Acme", extra_body=wanted)
            assert {name: made.model_extra[name] for name in wanted} == wanted
            changed = await projects.update(made.id, extra_body={"max_files": 0})
            assert {**wanted, "max_files": 0} == {
                name: changed.model_extra[name] for name in wanted
            }

    @pytest.mark.parametrize(
        "body",
        [{}, {"name": ""}, {"name": "x", "weight": 0}, {"name": "x", "max_files": -1}]
        + [{"name": "x", name: "y"} for name in ("geography", "residency", "unknown")],
    )
    async def test_a_wrong_body_is_refused(self, gateway: Gateway, body: dict[str, Any]) -> None:
        async with gateway.http() as http:
            assert (await http.post("/v1/organization/projects", json=body)).status_code == 400

    async def test_a_repeat_makes_one(self, gateway: Gateway) -> None:
        headers = {"Idempotency-Key": "once"}
        async with gateway.http() as http:
            made = [
                (await http.post("/v1/organization/projects", json={"name": "x"}, headers=headers))
                for _ in range(2)
            ]
        assert made[0].json() == made[1].json()

    async def test_a_quota_holds_for_one_tenant(self, gateway: Gateway) -> None:
        async with gateway.openai() as client:
            await organization(client).projects.update("rival", extra_body={"max_files": 1})
        async with gateway.openai(gateway.rival_key) as rival, gateway.openai() as acme:
            await rival.files.create(file=b"a", purpose="user_data")
            with pytest.raises(openai.RateLimitError) as refused:
                await rival.files.create(file=b"b", purpose="user_data")
            with pytest.raises(openai.RateLimitError):
                await rival.uploads.create(
                    bytes=1, filename="a", mime_type="text/plain", purpose="user_data"
                )
            for _ in range(2):
                await acme.files.create(file=b"a", purpose="user_data")
        assert refused.value.code == "insufficient_quota"

    async def test_the_keys_of_an_archived_one_open_nothing(self, gateway: Gateway) -> None:
        project, account = await an_account(gateway)
        async with gateway.openai() as client:
            projects = organization(client).projects
            await projects.archive(project)
            with pytest.raises(openai.BadRequestError) as refused:
                await projects.service_accounts.create(project, name="late")
        assert refused.value.code == "project_archived"
        assert await chat(gateway, account.api_key.value) == 401

    async def test_the_project_of_the_key_that_asks_stays(self, gateway: Gateway) -> None:
        async with gateway.openai() as client:
            with pytest.raises(openai.BadRequestError) as refused:
                await organization(client).projects.archive("acme")
        assert refused.value.code == "project_in_use"


class TestServiceAccounts:
    async def test_its_key_works_and_ends_with_it(self, gateway: Gateway) -> None:
        project, made = await an_account(gateway)
        assert made.role == "member"
        assert await chat(gateway, made.api_key.value) == 200
        async with gateway.openai() as client:
            accounts = organization(client).projects.service_accounts
            found = await accounts.retrieve(made.id, project_id=project)
            assert (found.id, found.name) == (made.id, "ci")
            assert [account.id async for account in accounts.list(project)] == [made.id]
            deleted = await accounts.delete(made.id, project_id=project)
            assert deleted.deleted
            assert [account async for account in accounts.list(project)] == []
        assert stored(gateway, made.api_key.id).revoked_at is not None

    async def test_its_key_carries_what_was_asked_for(self, gateway: Gateway) -> None:
        _, made = await an_account(gateway, scopes=["files"], requests_per_minute=7)
        key = stored(gateway, made.api_key.id)
        assert (key.scopes, key.limits.requests_per_minute) == (("files",), 7)
        assert await chat(gateway, made.api_key.value) == 403

    async def test_an_account_alone_has_no_key_until_one_is_made(self, gateway: Gateway) -> None:
        async with gateway.openai() as client:
            projects = organization(client).projects
            project = await projects.create(name="Acme")
            made = await projects.service_accounts.create(
                project.id, name="ci", create_service_account_only=True
            )
            assert (made.api_key, made.role) == (None, "none")
            key = await projects.service_accounts.api_keys.create(
                made.id, project_id=project.id, scopes=[INFERENCE], expires_in_seconds=60
            )
            [listed] = [key async for key in projects.api_keys.list(project.id)]
        assert await chat(gateway, key.value) == 200
        assert listed.expires_at == key.expires_at == pytest.approx(time.time() + 60, abs=60)
        assert listed.owner.service_account.id == made.id

    async def test_a_key_makes_none_that_may_do_more(self, gateway: Gateway) -> None:
        lesser = gateway.new_key(ADMIN, INFERENCE)
        async with gateway.openai(lesser) as client:
            accounts = organization(client).projects.service_accounts
            with pytest.raises(openai.PermissionDeniedError):
                await accounts.create("rival", name="x", extra_body={"scopes": ["files"]})
            made = await accounts.create("rival", name="x")
        assert stored(gateway, made.api_key.id).scopes == (INFERENCE,)

    async def test_an_account_never_administers(self, gateway: Gateway) -> None:
        async with gateway.openai() as client:
            accounts = organization(client).projects.service_accounts
            with pytest.raises(openai.BadRequestError):
                await accounts.create("rival", name="x", extra_body={"scopes": ["admin"]})


class TestKeys:
    async def test_of_a_value_nothing_is_shown_again(self, gateway: Gateway) -> None:
        project, made = await an_account(gateway)
        async with gateway.http() as http:
            path = f"/v1/organization/projects/{project}"
            for below in ("/api_keys", f"/api_keys/{made.api_key.id}", "/service_accounts"):
                answer = await http.get(path + below)
                assert answer.status_code == 200
                assert made.api_key.value[10:] not in answer.text
                assert stored(gateway, made.api_key.id).digest not in answer.text

    async def test_one_is_looked_up_and_deleted(self, gateway: Gateway) -> None:
        project, made = await an_account(gateway)
        async with gateway.openai() as client:
            keys = organization(client).projects.api_keys
            found = await keys.retrieve(made.api_key.id, project_id=project)
            assert (found.name, found.redacted_value) == ("ci", "sk-tunery-***")
            assert (await keys.delete(made.api_key.id, project_id=project)).deleted
            with pytest.raises(openai.NotFoundError):
                await keys.retrieve(made.api_key.id, project_id=project)
            assert [key async for key in keys.list(project)] == []
        assert await chat(gateway, made.api_key.value) == 401

    async def test_one_of_another_project_is_not_there(self, gateway: Gateway) -> None:
        _, made = await an_account(gateway)
        async with gateway.openai() as client:
            keys = organization(client).projects.api_keys
            with pytest.raises(openai.NotFoundError):
                await keys.delete(made.api_key.id, project_id="rival")
        assert await chat(gateway, made.api_key.value) == 200

    async def test_a_rotated_one_leaves_a_successor(self, gateway: Gateway) -> None:
        project, made = await an_account(gateway, scopes=["inference"])
        path = f"/v1/organization/projects/{project}/api_keys/{made.api_key.id}/rotate"
        async with gateway.http() as http:
            answer = await http.post(path, json={"overlap_seconds": 100})
        new, old = answer.json(), stored(gateway, made.api_key.id)
        assert await chat(gateway, new["value"]) == await chat(gateway, made.api_key.value) == 200
        assert stored(gateway, new["id"]).scopes == ("inference",)
        assert stored(gateway, new["id"]).service_account_id == made.id
        assert old.expires_at == pytest.approx(time.time() + 100, abs=60)

    async def test_a_stronger_one_is_not_rotated_into_weaker_hands(self, gateway: Gateway) -> None:
        lesser = gateway.new_key(ADMIN, INFERENCE)
        _, made = await an_account(gateway, scopes=["files"])
        key = stored(gateway, made.api_key.id)
        path = f"/v1/organization/projects/{key.tenant_id}/api_keys/{key.id}/rotate"
        async with gateway.http(lesser) as http:
            answer = await http.post(path, json={})
        assert answer.status_code == 403
        assert stored(gateway, key.id) == key

    async def test_a_key_does_not_end_itself(self, gateway: Gateway) -> None:
        async with gateway.openai() as client:
            keys = organization(client).projects.api_keys
            [own] = [key async for key in keys.list("acme")]
            with pytest.raises(openai.BadRequestError) as refused:
                await keys.delete(own.id, project_id="acme")
        assert refused.value.code == "key_in_use"

    async def test_what_was_revoked_a_moment_ago_leaves_nothing_behind(
        self, gateway: Gateway
    ) -> None:
        admin = gateway.new_key()
        async with gateway.openai(admin) as client:
            projects = organization(client).projects
            await projects.retrieve("acme")  # from here on the key is remembered
            [key, _] = [key async for key in projects.api_keys.list("acme")]
            KeyRecords(gateway.database).revoke(key.id, now=time.time())
            with pytest.raises(openai.AuthenticationError):
                await projects.service_accounts.create("rival", name="x")
            with pytest.raises(openai.AuthenticationError):
                await organization(client).admin_api_keys.create(name="x")
            with pytest.raises(openai.AuthenticationError):
                await projects.archive("rival")
            with pytest.raises(openai.AuthenticationError):
                await projects.update("rival", name="x")


class TestAdminKeys:
    async def test_from_its_making_to_its_end(self, gateway: Gateway) -> None:
        async with gateway.openai() as client:
            keys = organization(client).admin_api_keys
            made = await keys.create(name="deputy")
            assert made.id in [key.id async for key in keys.list(limit=1)]
            async with gateway.openai(made.value) as deputy:
                found = await organization(deputy).admin_api_keys.retrieve(made.id)
                assert (found.name, found.owner.id) == ("deputy", "acme")
            assert (await keys.delete(made.id)).deleted
            with pytest.raises(openai.NotFoundError):
                await keys.retrieve(made.id)

    async def test_it_may_do_less_than_its_maker_and_never_more(self, gateway: Gateway) -> None:
        lesser = gateway.new_key(ADMIN, INFERENCE)
        async with gateway.openai(lesser) as client:
            keys = organization(client).admin_api_keys
            same = await keys.create(name="same")
            alone = await keys.create(name="alone", extra_body={"scopes": []})
            with pytest.raises(openai.PermissionDeniedError):
                await keys.create(name="more", extra_body={"scopes": ["files"]})
        assert stored(gateway, same.id).scopes == (INFERENCE, ADMIN)
        assert stored(gateway, alone.id).scopes == (ADMIN,)

    async def test_it_does_not_outlive_its_maker(self, gateway: Gateway) -> None:
        async with gateway.openai() as client:
            short = await organization(client).admin_api_keys.create(
                name="short", expires_in_seconds=100
            )
        async with gateway.openai(short.value) as client:
            keys = organization(client).admin_api_keys
            for end in ({}, {"expires_in_seconds": 200}):
                with pytest.raises(openai.PermissionDeniedError):
                    await keys.create(name="longer", **end)
            assert await keys.create(name="shorter", expires_in_seconds=50)

    async def test_a_key_that_may_not_administer_is_none(self, gateway: Gateway) -> None:
        _, made = await an_account(gateway)
        async with gateway.openai() as client:
            with pytest.raises(openai.NotFoundError):
                await organization(client).admin_api_keys.delete(made.api_key.id)


class TestRateLimits:
    async def test_one_set_for_all_models(self, gateway: Gateway) -> None:
        async with gateway.openai() as client:
            limits = organization(client).projects.rate_limits
            [found] = [one async for one in limits.list_rate_limits("rival")]
            assert (found.max_requests_per_1_minute, found.model) == (0, "*")
            changed = await limits.update_rate_limit(
                found.id,
                project_id="rival",
                max_requests_per_1_minute=1,
                extra_body={"max_concurrent_requests": 5},
            )
            assert (changed.max_requests_per_1_minute, changed.max_tokens_per_1_minute) == (1, 0)
            assert changed.model_extra["max_concurrent_requests"] == 5
        assert [await chat(gateway, gateway.rival_key) for _ in range(2)] == [200, 429]
        assert [await chat(gateway, gateway.key) for _ in range(2)] == [200, 200]

    async def test_what_is_not_offered_is_refused(self, gateway: Gateway) -> None:
        async with gateway.openai() as client:
            limits = organization(client).projects.rate_limits
            with pytest.raises(openai.BadRequestError) as refused:
                await limits.update_rate_limit(
                    "rl-all", project_id="rival", max_images_per_1_minute=1
                )
            with pytest.raises(openai.NotFoundError):
                await limits.update_rate_limit("rl-none", project_id="rival")
        assert refused.value.param == "max_images_per_1_minute"


class TestProjectHeader:
    async def test_a_keys_own_project_passes(self, gateway: Gateway) -> None:
        assert await chat(gateway, gateway.rival_key, **{"OpenAI-Project": "rival"}) == 200

    @pytest.mark.parametrize("named", ["acme", "nobody", ""])
    async def test_another_or_none_is_refused_alike(self, gateway: Gateway, named: str) -> None:
        async with gateway.http(gateway.rival_key) as http:
            answer = await http.get("/v1/models", headers={"OpenAI-Project": named})
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "mismatched_project"

    async def test_an_administrator_acts_for_no_other_project(self, gateway: Gateway) -> None:
        async with gateway.http() as http:
            answer = await http.get("/v1/files", headers={"OpenAI-Project": "rival"})
        assert answer.json()["error"]["code"] == "mismatched_project"


@pytest.mark.parametrize(
    "path",
    [
        "projects/none",
        "projects/none/api_keys",
        "projects/none/service_accounts",
        "projects/none/rate_limits",
        "projects/rival/api_keys/none",
        "projects/rival/service_accounts/none",
        "admin_api_keys/none",
    ],
)
async def test_what_is_not_there_is_not_found(gateway: Gateway, path: str) -> None:
    async with gateway.http() as http:
        answer = await http.get(f"/v1/organization/{path}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"

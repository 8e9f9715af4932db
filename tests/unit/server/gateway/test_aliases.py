"""Aliases through the gateway: given, split, shadowed, gated, moved, rolled back."""

import asyncio
from collections import Counter
from typing import Any

import httpx2
import orjson
import pytest

from tests.engines import Fault
from tests.rows import a_job
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import Adapter

from .composed import Gateway

MESSAGES: Any = [{"role": "user", "content": "hi"}]
USERS = 400


@pytest.fixture
def old(gateway: Gateway) -> str:
    return gateway.publish().model


@pytest.fixture
def new(gateway: Gateway) -> str:
    return gateway.publish().model


async def call(
    gateway: Gateway, method: str, path: str, body: Any = None, key: str | None = None
) -> httpx2.Response:
    async with gateway.http(key) as http:
        return await http.request(method, f"/v1/aliases{path}", json=body)


async def made(gateway: Gateway, **routes: Any) -> dict[str, Any]:
    answer = await call(gateway, "POST", "", {"name": "bot", **routes})
    assert answer.status_code == 200, answer.text
    alias: dict[str, Any] = answer.json()
    return alias


async def moved(gateway: Gateway, **routes: Any) -> httpx2.Response:
    return await call(gateway, "POST", "/bot", routes)


async def asked(gateway: Gateway, model: str = "bot", **values: Any) -> str:
    """Who answered."""
    async with gateway.openai() as client:
        answer = await client.chat.completions.create(model=model, messages=MESSAGES, **values)
    return answer.model


async def second_request(gateway: Gateway) -> None:
    """Return once the engine was asked twice."""
    for _ in range(100_000):
        if len(gateway.engine.requests) > 1:
            return
        await asyncio.sleep(0)
    pytest.fail("nobody asked a second time")


async def test_an_alias_answers_as_what_it_leads_to(gateway: Gateway, old: str, new: str) -> None:
    alias = await made(gateway, model=old)
    assert (alias["id"], alias["revision"], alias["model"]) == ("bot", 1, old)
    assert await asked(gateway) == old
    await moved(gateway, model=new)
    assert await asked(gateway) == new
    await moved(gateway, model="base")
    assert await asked(gateway) == "base"


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/responses", "/v1/messages"])
async def test_every_route_takes_an_alias(gateway: Gateway, old: str, path: str) -> None:
    await made(gateway, model=old)
    bodies = {
        "/v1/completions": {"prompt": "hi"},
        "/v1/responses": {"input": "hi"},
        "/v1/messages": {"messages": MESSAGES, "max_tokens": 5},
    }
    async with gateway.http() as http:
        answer = await http.post(path, json={"model": "bot", **bodies[path]})
    assert answer.status_code == 200
    assert gateway.engine.requests[-1][1]["model"] == old


async def test_a_canary_gets_its_share_of_the_users_and_each_stays_where_it_is(
    gateway: Gateway, old: str, new: str
) -> None:
    await made(gateway, model=old, canary={"model": new, "weight": 0.1})
    users = [f"user-{number}" for number in range(USERS)]
    first = {user: await asked(gateway, user=user) for user in users}
    assert 0.04 * USERS < Counter(first.values())[new] < 0.17 * USERS  # 4 standard deviations
    for user in users[:40]:
        assert await asked(gateway, user=user) == first[user]
    await moved(gateway, model=old, canary={"model": new, "weight": 0.5})
    for user in (user for user, model in first.items() if model == new):
        assert await asked(gateway, user=user) == new


async def test_without_a_user_each_request_is_on_its_own(
    gateway: Gateway, old: str, new: str
) -> None:
    await made(gateway, model=old, canary={"model": new, "weight": 0.5})
    assert {await asked(gateway) for _ in range(40)} == {old, new}


async def test_a_rollback_leads_everybody_back_and_the_history_tells_of_it(
    gateway: Gateway, old: str, new: str
) -> None:
    await made(gateway, model=old)
    await moved(gateway, model=old, canary={"model": new, "weight": 0.1})
    back = (await call(gateway, "POST", "/bot/rollback", {})).json()
    assert (back["revision"], back["canary"]) == (3, None)
    assert back["reason"] == "rolled back to revision 1"
    assert {await asked(gateway) for _ in range(40)} == {old}
    again = (await call(gateway, "POST", "/bot/rollback", {"revision": 2})).json()
    assert again["canary"] == {"model": new, "weight": 0.1}
    page = (await call(gateway, "GET", "/bot/revisions?limit=3")).json()
    assert [revision["revision"] for revision in page["data"]] == [4, 3, 2]
    assert page["has_more"]
    rest = (await call(gateway, "GET", "/bot/revisions?before=2")).json()
    assert [revision["reason"] for revision in rest["data"]] == ["created"]
    assert (await call(gateway, "POST", "/bot/rollback", {"revision": 9})).status_code == 400


async def test_a_move_from_a_revision_that_is_past_is_refused(
    gateway: Gateway, old: str, new: str
) -> None:
    await made(gateway, model=old)
    assert (await moved(gateway, model=new, revision=1)).status_code == 200
    late = await moved(gateway, model=old, revision=1)
    assert (late.status_code, late.json()["error"]["code"]) == (400, "alias_moved")
    assert await asked(gateway) == new


async def test_a_shadow_gets_a_copy_and_nobody_its_answer(
    gateway: Gateway, old: str, new: str
) -> None:
    await made(gateway, model=old, shadow=new)
    async with gateway.running():
        for stream in (False, True):
            gateway.engine.requests.clear()
            gateway.engine.fault = Fault.NONE
            async with gateway.http() as http:
                body = {"model": "bot", "messages": MESSAGES, "stream": stream, "max_tokens": 9}
                answer = await http.post("/v1/chat/completions", json=body)
            assert new not in answer.text
            await second_request(gateway)
            primary, copy = (body for _, body in gateway.engine.requests)
            assert (primary["model"], copy["model"]) == (old, new)
            assert copy["max_tokens"] == 9
            assert not copy.get("stream")
            assert copy["cache_salt"] == primary["cache_salt"]
        async with gateway.http() as http:
            await gateway.engine.idle.wait()
            text = (await http.get("/metrics")).text
    for role in ("primary", "shadow"):
        labels = f'alias="bot",role="{role}",tenant="acme"'
        assert f"tunery_shadowed_duration_seconds_count{{{labels}}} 2.0" in text


async def test_a_failing_shadow_is_nobodys_concern(gateway: Gateway, old: str, new: str) -> None:
    await made(gateway, model=old, shadow=new)
    gateway.engine.load_error = None
    assert await asked(gateway) == old
    gateway.engine.load_error = RuntimeError("a broken adapter")
    assert [await asked(gateway) for _ in range(20)] == [old] * 20


async def test_an_adapter_that_an_alias_leads_to_is_not_deleted(
    gateway: Gateway, old: str, new: str
) -> None:
    await made(gateway, model=old, shadow=new)
    async with gateway.http() as http:
        for model in (old, new):
            refused = await http.delete(f"/v1/models/{model}")
            assert refused.status_code == 400
            assert "'bot'" in refused.json()["error"]["message"]
        assert (await call(gateway, "DELETE", "/bot")).json()["deleted"] is True
        assert (await http.delete(f"/v1/models/{new}")).status_code == 200


async def test_a_deleted_name_is_gone_and_may_be_given_again(gateway: Gateway, old: str) -> None:
    await made(gateway, model=old)
    await call(gateway, "DELETE", "/bot")
    assert (await call(gateway, "GET", "/bot")).status_code == 404
    assert (await call(gateway, "DELETE", "/bot")).status_code == 404
    async with gateway.http() as http:
        body = {"model": "bot", "messages": MESSAGES}
        assert (await http.post("/v1/chat/completions", json=body)).status_code == 404
    assert (await made(gateway, model=old))["revision"] == 3


async def test_another_tenants_alias_does_not_exist(gateway: Gateway, old: str) -> None:
    await made(gateway, model=old)
    for method, path, body in [
        ("GET", "/bot", None),
        ("GET", "/bot/revisions", None),
        ("POST", "/bot", {"model": "base"}),
        ("POST", "/bot/rollback", {}),
        ("DELETE", "/bot", None),
    ]:
        assert (await call(gateway, method, path, body, gateway.rival_key)).status_code == 404
    assert (await call(gateway, "GET", "", key=gateway.rival_key)).json()["data"] == []
    stolen = await call(gateway, "POST", "", {"name": "mine", "model": old}, gateway.rival_key)
    assert stolen.status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"name": "base", "model": "base"},
        {"name": "ft:x", "model": "base"},
        {"name": "Bot", "model": "base"},
        {"name": "a" * 65, "model": "base"},
        {"name": "bot", "model": "base", "shadow": "base"},
        {"name": "bot", "model": "base", "canary": {"model": "x", "weight": 1}},
        {"name": "bot", "model": "base", "canary": {"model": "x", "weight": 0}},
        {"name": "bot"},
    ],
)
async def test_a_wrong_alias_is_refused(gateway: Gateway, body: dict[str, Any]) -> None:
    assert (await call(gateway, "POST", "", body)).status_code == 400


class TestGates:
    """A move that has to be for the better."""

    def measured(self, gateway: Gateway, loss: float, file: str = "file-valid") -> Adapter:
        job = a_job(validation_file=file)
        JobRecords(gateway.database).add(job)
        return gateway.publish(job_id=job.id, metrics={"valid_loss": loss})

    async def test_a_better_candidate_passes_and_the_comparison_is_kept(
        self, gateway: Gateway
    ) -> None:
        old, new = self.measured(gateway, 2.0), self.measured(gateway, 1.8)
        await made(gateway, model=old.model)
        answer = await moved(gateway, model=new.model, gate={"margin": 0.1})
        assert answer.status_code == 200, answer.text
        comparison = answer.json()["comparison"]
        assert (comparison["current"], comparison["candidate"]) == (2.0, 1.8)
        assert comparison["passed"] is True
        assert await asked(gateway) == new.model

    @pytest.mark.parametrize(("loss", "margin"), [(1.95, 0.1), (2.0, 0.0), (2.5, 0.0)])
    async def test_one_that_is_not_better_by_the_margin_stays_out(
        self, gateway: Gateway, loss: float, margin: float
    ) -> None:
        old, new = self.measured(gateway, 2.0), self.measured(gateway, loss)
        await made(gateway, model=old.model)
        answer = await moved(gateway, model=new.model, gate={"margin": margin})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "gate_closed")
        assert await asked(gateway) == old.model
        [last, _] = (await call(gateway, "GET", "/bot/revisions")).json()["data"]
        assert last["comparison"]["passed"] is False
        assert last["reason"].startswith("stayed: valid_loss of ft:")

    async def test_what_was_not_measured_alike_is_not_compared(self, gateway: Gateway) -> None:
        old, new = self.measured(gateway, 2.0), self.measured(gateway, 1.0, file="file-other")
        await made(gateway, model=old.model)
        answer = await moved(gateway, model=new.model, gate={})
        assert answer.status_code == 400
        assert "file_id" in answer.json()["error"]["message"]
        unknown = await moved(gateway, model=new.model, gate={"metric": "taste"})
        assert unknown.status_code == 400

    async def test_a_file_that_is_no_dataset_of_chats_is_refused(
        self, gateway: Gateway, old: str, new: str
    ) -> None:
        await made(gateway, model=old)
        async with gateway.openai() as client:
            row = orjson.dumps({"text": "Once upon a time."}) + b"\n"
            texts = await client.files.create(file=("a.jsonl", 12 * row), purpose="fine-tune")
        for file_id in (texts.id, "file-none"):
            answer = await moved(gateway, model=new, gate={"file_id": file_id})
            assert answer.status_code in (400, 404)
        assert await asked(gateway) == old

    async def test_a_file_that_went_meanwhile_is_absent(
        self, gateway: Gateway, old: str, new: str
    ) -> None:
        await made(gateway, model=old)
        turns = [{"role": role, "content": "a"} for role in ("user", "assistant")]
        async with gateway.openai() as client:
            rows = 12 * (orjson.dumps({"messages": turns}) + b"\n")
            chats = await client.files.create(file=("a.jsonl", rows), purpose="fine-tune")
        (gateway.settings.home / "files" / chats.id).unlink()
        answer = await moved(gateway, model=new, gate={"file_id": chats.id})
        assert answer.status_code == 404

"""What /metrics says of tenants, adapters and aliases, next to what the usage ledger says."""

import asyncio
import runpy
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.engines import Fault
from tunery_server.config import Settings
from tunery_server.errors import EngineRefused, EngineUnavailable

from .composed import Gateway
from .sockets import Edge

MESSAGES: Any = [{"role": "user", "content": "hi"}]
CHAT = {"model": "base", "messages": MESSAGES}
TABLE = Path(__file__).parents[4] / "docs" / "metrics_table.py"


class Samples:
    """One scrape."""

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text.partition("vllm:")[0]))

    def sum(self, name: str, **labels: str) -> float:
        """Over all samples of that name with those labels."""
        return sum(
            sample.value
            for family in self.families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def values(self, label: str) -> set[str]:
        return {
            sample.labels[label]
            for family in self.families
            for sample in family.samples
            if label in sample.labels
        }


async def scraped(gateway: Gateway) -> Samples:
    async with gateway.http() as http:
        return Samples((await http.get("/metrics")).text)


async def chat(gateway: Gateway, key: str | None = None, **values: Any) -> int:
    async with gateway.http(key) as http:
        return (await http.post("/v1/chat/completions", json={**CHAT, **values})).status_code


async def used(gateway: Gateway, key: str, by: str = "") -> list[dict[str, Any]]:
    async with gateway.http(key) as http:
        rows: list[dict[str, Any]] = (await http.get(f"/v1/usage?{by}")).json()["data"]
    return rows


async def test_two_tenants_sums_are_those_of_the_ledger(gateway: Gateway) -> None:
    adapter = gateway.publish()
    for stream in (False, True, True):
        await chat(gateway, stream=stream)
    await chat(gateway, model=adapter.model)
    await chat(gateway, gateway.rival_key, stream=True)
    samples = await scraped(gateway)
    for tenant, key in (("acme", gateway.key), ("rival", gateway.rival_key)):
        [row] = await used(gateway, key)
        tokens = "tunery_tenant_tokens_total"
        assert (
            samples.sum("tunery_tenant_requests_total", tenant=tenant, status="2xx")
            == (row["requests"])
        )
        assert samples.sum(tokens, tenant=tenant, kind="prompt") == row["input_tokens"]
        assert samples.sum(tokens, tenant=tenant, kind="completion") == row["output_tokens"]
        assert samples.sum(tokens, tenant=tenant, kind="cached") == row["cached_tokens"]
    for row in await used(gateway, gateway.key, "group_by[]=model"):
        labels = {"adapter": row["model"], "kind": "completion"}
        others = 2 if row["model"] == "base" else 0  # the rival's, of the same base model
        assert samples.sum("tunery_adapter_tokens_total", **labels) == row["output_tokens"] + others


async def test_times_are_those_of_who_waits(gateway: Gateway) -> None:
    await chat(gateway)
    await chat(gateway, stream=True)
    samples = await scraped(gateway)
    for subject, labels in (("tenant", {"tenant": "acme"}), ("adapter", {"adapter": "base"})):
        assert samples.sum(f"tunery_{subject}_queue_wait_seconds_count", **labels) == 2
        assert samples.sum(f"tunery_{subject}_time_to_first_token_seconds_count", **labels) == 1
        # Two tokens have one time between them.
        assert samples.sum(f"tunery_{subject}_inter_token_latency_seconds_count", **labels) == 1


@pytest.mark.parametrize(
    ("break_it", "status"),
    [
        (lambda engine: setattr(engine, "fault", Fault.REFUSES), "4xx"),
        (lambda engine: setattr(engine, "fault", Fault.AWAY), "5xx"),
        (lambda engine: setattr(engine, "fault", Fault.CUT), "5xx"),
        (lambda engine: setattr(engine, "fault", Fault.BREAKS), "5xx"),
    ],
    ids=["refused", "away", "cut", "broken"],
)
async def test_a_request_counts_as_it_ended(
    gateway: Gateway, break_it: Callable[[Any], None], status: str
) -> None:
    break_it(gateway.engine)
    await chat(gateway, stream=True)
    gateway.engine.fault = Fault.NONE
    samples = await scraped(gateway)
    assert samples.sum("tunery_tenant_requests_total", tenant="acme", status=status) == 1
    assert samples.sum("tunery_tenant_requests_total") == 1
    assert samples.sum("tunery_adapter_requests_total", adapter="base", status=status) == 1


async def test_a_client_that_left_is_told_apart(edge: Edge) -> None:
    gateway = edge.gateway
    gateway.engine.fault = Fault.STALLS
    async with (
        edge.http() as http,
        http.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as answer,
    ):
        await anext(answer.aiter_text())
    await gateway.engine.idle.wait()
    await asyncio.sleep(0)
    samples = await scraped(gateway)
    assert samples.sum("tunery_tenant_requests_total", tenant="acme", status="499") == 1
    assert samples.sum("tunery_tenant_tokens_total", tenant="acme", kind="completion") == 1


async def test_a_made_up_model_is_no_label(gateway: Gateway) -> None:
    assert await chat(gateway, model="made-up") == 404
    samples = await scraped(gateway)
    assert samples.sum("tunery_tenant_requests_total", tenant="acme", status="4xx") == 1
    assert samples.values("adapter") == {"other"}


async def test_arms_of_an_alias(gateway: Gateway) -> None:
    stable, canary, shadow = (gateway.publish().model for _ in range(3))
    split = {"model": canary, "weight": 0.5}
    body = {"name": "bot", "model": stable, "canary": split, "shadow": shadow}
    async with gateway.http() as http:
        assert (await http.post("/v1/aliases", json=body)).status_code == 200
    answered: dict[str, int] = defaultdict(int)
    async with gateway.running():
        for number in range(20):
            async with gateway.openai() as client:
                answer = await client.chat.completions.create(
                    model="bot", messages=MESSAGES, user=f"user-{number}"
                )
            answered[answer.model] += 1
    samples = await scraped(gateway)
    counts = {
        arm: samples.sum("tunery_alias_requests_total", tenant="acme", alias="bot", arm=arm)
        for arm in ("stable", "canary")
    }
    assert counts == {"stable": answered[stable], "canary": answered[canary]}


class TestFewLabels:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"max_metric_names": 1})

    async def test_all_others_are_one(self, gateway: Gateway) -> None:
        adapters = [gateway.publish() for _ in range(3)]
        await chat(gateway)
        await chat(gateway, gateway.rival_key)
        for adapter in adapters:
            await chat(gateway, model=adapter.model)
        samples = await scraped(gateway)
        assert samples.values("adapter") == {"base", "other"}
        assert samples.values("tenant") == {"acme", "other"}
        assert samples.sum("tunery_adapter_requests_total", adapter="other") == len(adapters)
        assert samples.sum("tunery_tenant_requests_total", tenant="other") == 1
        assert samples.sum("tunery_tenant_requests_total") == 2 + len(adapters)


async def test_every_metric_is_in_the_documentation(gateway: Gateway) -> None:
    await chat(gateway, stream=True)
    documented = {
        metric.name: set(labels) for metric, labels in runpy.run_path(str(TABLE))["every"]()
    }
    for family in (await scraped(gateway)).families:
        if not family.name.startswith("tunery_"):
            continue
        name = family.name.removesuffix("_created")
        assert name in documented
        for sample in family.samples:
            assert sample.labels.keys() - {"le"} == documented[name], sample


async def test_it_wants_an_administrator(gateway: Gateway) -> None:
    async with gateway.http(gateway.rival_key) as http:
        assert (await http.get("/metrics")).status_code == 403


async def test_loads_and_where_adapters_are(gateway: Gateway) -> None:
    adapter, deleted = gateway.publish(), gateway.publish()
    for model in (adapter.model, adapter.model, deleted.model):
        await chat(gateway, model=model)
    async with gateway.http() as http:
        assert (await http.delete(f"/v1/models/{deleted.model}")).status_code == 200
    gateway.engine.fault = Fault.SLOW
    waiting = asyncio.create_task(chat(gateway, model=adapter.model))
    await gateway.engine.begun.wait()
    samples = await scraped(gateway)
    gateway.engine.go.set()
    assert await waiting == 200
    name = adapter.model
    assert samples.sum("tunery_adapter_load_duration_seconds_count", adapter=name) == 1
    assert samples.sum("tunery_adapter_load_duration_seconds_count") == 2
    assert samples.sum("tunery_adapter_unloads_total", adapter=deleted.model, reason="deleted") == 1
    assert samples.sum("tunery_adapter_unloads_total") == 1
    for tier in ("memory", "slot"):
        assert samples.sum("tunery_adapter_resident", adapter=name, tier=tier) == 1
        assert samples.sum("tunery_adapter_resident", tier=tier) == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (EngineRefused("no", status=400), "refused"),
        (EngineUnavailable("gone"), "unavailable"),
    ],
    ids=["refused", "unavailable"],
)
async def test_a_load_that_fails(gateway: Gateway, error: Exception, reason: str) -> None:
    adapter = gateway.publish()
    gateway.engine.load_error = error
    await chat(gateway, model=adapter.model)
    samples = await scraped(gateway)
    labels = {"adapter": adapter.model, "reason": reason}
    assert samples.sum("tunery_adapter_failed_loads_total", **labels) == 1
    assert samples.sum("tunery_adapter_load_duration_seconds_count") == 0


class TestFewPlaces:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"max_loras": 1, "max_cpu_loras": 1})

    async def test_who_gives_way_is_counted(self, gateway: Gateway) -> None:
        adapters = [gateway.publish().model for _ in range(3)]
        for model in adapters:
            assert await chat(gateway, model=model) == 200
        samples = await scraped(gateway)
        held = samples.sum("tunery_adapter_resident", tier="memory")
        gone = samples.sum("tunery_adapter_unloads_total", reason="evicted")
        assert held == len(gateway.engine.adapters) < len(adapters)
        assert held + gone == len(adapters)


@pytest.mark.parametrize("fault", [Fault.AWAY, Fault.REFUSES])
async def test_the_gateways_own_metrics_need_no_engine(gateway: Gateway, fault: Fault) -> None:
    async with gateway.http() as http:
        both = await http.get("/metrics")
        gateway.engine.fault = fault
        alone = await http.get("/metrics")
    assert (both.status_code, alone.status_code) == (200, 200)
    engines = "vllm:scripted 1"
    assert both.text.endswith(f"{engines}\n")
    assert engines not in alone.text
    assert "tunery_engine_ready 1.0" in alone.text

"""An answer comes from the very version that was named, whatever goes on meanwhile."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import orjson
import pytest
import redis
from openai import AsyncOpenAI, NotFoundError

from tests.engines import ScriptedEngine
from tunery_server.config import Settings
from tunery_server.engine.contract import Reply
from tunery_server.errors import EngineRefused
from tunery_server.records.rows import Adapter

from .composed import Gateway, composed

ADAPTERS, VERSIONS, REQUESTS, GOING = 8, 3, 200, 6
PLACES = 8
"""Far fewer than there are versions, so that each of them comes and goes."""


class Marking(ScriptedEngine):
    """Answers by the folder that it has loaded under the name that is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.folders: dict[str, Path] = {}
        self.most = 0

    async def load(self, name: str, path: Path) -> None:
        await asyncio.sleep(0)
        await super().load(name, path)
        self.folders[name] = path
        self.most = max(self.most, len(self.adapters))

    async def unload(self, name: str) -> None:
        await super().unload(name)
        self.folders.pop(name, None)

    def forward(self, path: str, body: bytes) -> AbstractAsyncContextManager[Reply]:
        request = orjson.loads(body)
        if request["model"] not in self.adapters:
            raise EngineRefused("The model does not exist.", status=404)
        marked = {**request, "model": "/".join(self.folders[request["model"]].parts[-2:])}
        return super().forward(path, orjson.dumps(marked))


@pytest.fixture
async def gateway(settings: Settings, migrated: Path) -> AsyncIterator[Gateway]:
    redis.Redis.from_url(settings.redis).flushall()
    few = settings.model_copy(update={"max_cpu_loras": PLACES})
    gateway = composed(few, Marking(), migrated)
    await gateway.see_engine()
    yield gateway
    gateway.database.close()


async def answered_by(client: AsyncOpenAI, model: str) -> str:
    answer = await client.completions.create(model=model, prompt="the same for all")
    return answer.model


def mark(adapter: Adapter) -> str:
    return f"{adapter.adapter_id}/v{adapter.version}"


@pytest.mark.promise("P23", fault="8 adapters of 3 versions in 8 places, some made, some deleted")
async def test_each_answer_bears_the_mark_of_the_version_that_was_named(gateway: Gateway) -> None:
    def publish(number: int, version: int) -> Adapter:
        name = f"ft:base:tunery:a{number}:v{version}"
        return gateway.publish(adapter_id=f"ad-{number}", version=version, model=name)

    staying = [publish(number, version) for number in range(ADAPTERS) for version in range(1, 3)]
    going = [publish(ADAPTERS, version + 1) for version in range(GOING)]
    order = random.Random(7)  # noqa: S311 - the same every time
    async with gateway.openai() as client, gateway.running():

        async def change() -> None:
            """Delete some, and publish the third versions, between the answers."""
            for adapter in going:
                await client.models.delete(adapter.model)
                with pytest.raises(NotFoundError):
                    await answered_by(client, adapter.model)
            for number in range(ADAPTERS):
                newest = await asyncio.to_thread(publish, number, VERSIONS)
                assert await answered_by(client, newest.model) == mark(newest)

        async def ask(adapter: Adapter) -> bool:
            return await answered_by(client, adapter.model) == mark(adapter)

        changing = asyncio.create_task(change())
        asked = [ask(order.choice(staying)) for _ in range(REQUESTS)]
        assert await asyncio.gather(*asked) == [True] * REQUESTS
        await changing
    assert isinstance(gateway.engine, Marking)
    assert gateway.engine.most <= PLACES
    assert len(gateway.engine.loads) > PLACES, "they came and went"

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import redis
import uvloop

from tests.engines import ScriptedEngine
from tunery_server.config import Settings

from .composed import Gateway, composed
from .sockets import Edge, listening

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, LoopFactory]:
    """Tests of sockets run on the loop that production runs on."""
    if item.path.stem.startswith("test_edge_"):
        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


@pytest.fixture
async def gateway(
    settings: Settings, engine: ScriptedEngine, migrated: Path
) -> AsyncIterator[Gateway]:
    """A gateway with an engine that is ready, and nothing in it but two keys."""
    redis.Redis.from_url(settings.redis).flushall()
    gateway = composed(settings, engine, migrated)
    await gateway.see_engine()
    yield gateway
    gateway.database.close()


@pytest.fixture
async def edge(gateway: Gateway) -> AsyncIterator[Edge]:
    """The gateway behind a real uvicorn on a loopback port."""
    async with listening(gateway) as edge:
        yield edge


@pytest.fixture(scope="module")
def refusing_gateway(
    tmp_path_factory: pytest.TempPathFactory, valkey: str, migrated: Path
) -> Iterator[Gateway]:
    """One gateway for all tests of a module that leave nothing behind."""
    home = tmp_path_factory.mktemp("refusing") / "home"
    settings = Settings(home=home, redis_url=valkey, served_model_name="base")
    gateway = composed(settings, ScriptedEngine(), migrated)
    yield gateway
    gateway.database.close()

import asyncio

from tests.engines import Fault, ScriptedEngine
from tunery_server.serving.monitor import EngineMonitor
from tunery_server.serving.residency import Residency


async def test_the_engine_is_followed_through_its_death_and_return(engine: ScriptedEngine) -> None:
    residency = Residency(engine)
    watching = asyncio.create_task(EngineMonitor(engine, residency, interval_s=0).run())
    try:
        await looked(engine)
        assert residency.ready
        engine.fault = Fault.AWAY
        await looked(engine)
        assert not residency.ready
        engine.fault = Fault.NONE
        engine.restart()
        await looked(engine)
        assert residency.ready
    finally:
        watching.cancel()


async def looked(engine: ScriptedEngine) -> None:
    """Return after a whole look at the engine as it is now."""
    for _ in range(2):
        engine.asked.clear()
        await engine.asked.wait()

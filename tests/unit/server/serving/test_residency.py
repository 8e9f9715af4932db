import asyncio
from pathlib import Path

import pytest

from tests.engines import Fault, ScriptedEngine
from tunery_adapters.errors import AdapterDamagedError
from tunery_server.errors import AdapterDamaged, EngineRefused, EngineTooSlow, EngineUnavailable
from tunery_server.serving.failed_loads import AGAIN_S
from tunery_server.serving.residency import Residency

NAME, FOLDER = "ft:base:tunery::1", Path("/adapters/1/v1")
PLACES = 3


class Files:
    """Adapters' files, which can be damaged, and a clock."""

    def __init__(self) -> None:
        self.verified: list[Path] = []
        self.damaged = False
        self.now = 0.0

    def verify(self, folder: Path) -> None:
        self.verified.append(folder)
        if self.damaged:
            raise AdapterDamagedError("weights are damaged")


@pytest.fixture
def files() -> Files:
    return Files()


@pytest.fixture
async def residency(engine: ScriptedEngine, files: Files) -> Residency:
    residency = Residency(engine, places=PLACES, verify=files.verify, timer=lambda: files.now)
    residency.observe(await engine.status())
    return residency


async def test_many_requests_load_once(engine: ScriptedEngine, residency: Residency) -> None:
    engine.fault = Fault.SLOW
    waiting = [asyncio.create_task(residency.ensure(NAME, FOLDER)) for _ in range(10)]
    await engine.begun.wait()
    assert residency.state(NAME) == "loading"
    engine.go.set()
    await asyncio.gather(*waiting)
    assert engine.loads == [(NAME, FOLDER)]
    assert residency.state(NAME) == "loaded"
    await residency.ensure(NAME, FOLDER)
    assert len(engine.loads) == 1


async def test_a_load_goes_on_when_its_first_request_goes(
    engine: ScriptedEngine, residency: Residency
) -> None:
    engine.fault = Fault.SLOW
    first, second = (asyncio.create_task(residency.ensure(NAME, FOLDER)) for _ in range(2))
    await engine.begun.wait()
    first.cancel()
    await asyncio.wait({first})
    engine.go.set()
    await second
    assert len(engine.loads) == 1


@pytest.mark.parametrize(
    "error",
    [EngineRefused("no", status=400), EngineUnavailable("gone"), EngineTooSlow("slow")],
    ids=["refused", "gone", "slow"],
)
async def test_a_failed_load_fails_all_that_wait_and_is_tried_again(
    engine: ScriptedEngine, residency: Residency, files: Files, error: Exception
) -> None:
    engine.load_error = error
    outcomes = await asyncio.gather(
        *(residency.ensure(NAME, FOLDER) for _ in range(3)), return_exceptions=True
    )
    assert outcomes == [error] * 3
    assert residency.state(NAME) == "unloaded"
    engine.load_error = None
    files.now += AGAIN_S
    await residency.ensure(NAME, FOLDER)
    assert residency.state(NAME) == "loaded"


async def test_what_the_engine_refused_is_not_tried_again_at_once(
    engine: ScriptedEngine, residency: Residency
) -> None:
    engine.load_error = EngineRefused("no", status=400)
    for _ in range(3):
        with pytest.raises(EngineRefused):
            await residency.ensure(NAME, FOLDER)
    assert len(engine.loads) == 1
    engine.load_error = None
    engine.restart()
    residency.observe(await engine.status())
    await residency.ensure(NAME, FOLDER)


async def test_files_are_verified_before_each_load_and_damaged_ones_never_get_there(
    engine: ScriptedEngine, residency: Residency, files: Files
) -> None:
    await residency.ensure(NAME, FOLDER)
    await residency.ensure(NAME, FOLDER)
    assert files.verified == [FOLDER]
    await residency.forget(NAME)
    files.damaged = True
    with pytest.raises(AdapterDamaged):
        await residency.ensure(NAME, FOLDER)
    assert len(engine.loads) == 1
    assert residency.state(NAME) == "unloaded"


async def test_the_engine_never_holds_more_than_it_has_places_for(
    engine: ScriptedEngine, residency: Residency, files: Files
) -> None:
    for name in "abcd":
        files.now += 1
        await residency.ensure(name, FOLDER, "acme")
    assert engine.adapters == {"b", "c", "d"}
    assert residency.state("a") == "unloaded"


async def test_what_answers_does_not_give_way(
    engine: ScriptedEngine, residency: Residency, files: Files
) -> None:
    async with residency.resident("a", FOLDER, "acme"), residency.resident("a", FOLDER, "acme"):
        for name in "bcd":
            files.now += 1
            await residency.ensure(name, FOLDER, "acme")
        assert engine.adapters == {"a", "c", "d"}
    await residency.ensure("b", FOLDER, "acme")
    assert "a" not in engine.adapters


async def test_what_others_loaded_beyond_the_places_is_trimmed(
    engine: ScriptedEngine, residency: Residency
) -> None:
    residency.upkeep_due.clear()
    engine.adapters |= set("abcde")
    residency.observe(await engine.status())
    assert residency.upkeep_due.is_set()
    residency.pin({"e"})
    await residency.trim()
    assert len(engine.adapters) == PLACES
    assert "e" in engine.adapters


async def test_a_new_engine_process_knows_nothing(
    engine: ScriptedEngine, residency: Residency
) -> None:
    await residency.ensure(NAME, FOLDER)
    engine.restart()
    residency.observe(await engine.status())
    assert residency.ready
    assert residency.state(NAME) == "unloaded"
    await residency.ensure(NAME, FOLDER)
    assert len(engine.loads) == 2


async def test_an_engine_that_does_not_answer_holds_nothing(
    engine: ScriptedEngine, residency: Residency
) -> None:
    await residency.ensure(NAME, FOLDER)
    residency.observe(None)
    assert not residency.ready
    with pytest.raises(EngineUnavailable):
        await residency.ensure(NAME, FOLDER)


async def test_what_the_engine_holds_already_is_not_loaded(engine: ScriptedEngine) -> None:
    engine.adapters.add(NAME)
    residency = Residency(engine)
    residency.observe(await engine.status())
    await residency.ensure(NAME, FOLDER)
    assert engine.loads == []


async def test_forgetting_unloads(engine: ScriptedEngine, residency: Residency) -> None:
    await residency.ensure(NAME, FOLDER)
    await residency.forget(NAME)
    assert engine.adapters == set()
    assert residency.state(NAME) == "unloaded"


async def test_a_deleted_adapter_stays_until_its_last_answer_has_ended(
    residency: Residency, engine: ScriptedEngine
) -> None:
    residency.observe(await engine.status())
    with residency.using("a"):
        await residency.ensure("a", FOLDER)
        with residency.using("a"):
            await residency.forget("a")
        assert engine.adapters == {"a"}
    await asyncio.gather(*residency._unloads)
    assert engine.adapters == set()
    assert not residency.in_use("a")
    with residency.using("a"):
        await residency.ensure("a", FOLDER)
    assert engine.adapters == {"a"}


async def test_what_changes_while_the_engine_is_asked_is_known_better_here(
    engine: ScriptedEngine, residency: Residency
) -> None:
    await residency.ensure(NAME, FOLDER)
    residency.looking()
    said = await engine.status()
    await residency.forget(NAME)
    await residency.ensure("ft:base:tunery::2", FOLDER)
    residency.observe(said)
    assert residency.state(NAME) == "unloaded"
    assert residency.state("ft:base:tunery::2") == "loaded"


async def test_what_the_engine_was_asked_amid_a_change_is_not_believed_either(
    engine: ScriptedEngine, residency: Residency
) -> None:
    engine.fault = Fault.SLOW
    loading = asyncio.create_task(residency.ensure(NAME, FOLDER))
    await engine.begun.wait()
    residency.looking()
    said = await engine.status()
    engine.go.set()
    await loading
    residency.observe(said)
    assert residency.state(NAME) == "loaded"


async def test_another_gateways_unload_is_seen(
    engine: ScriptedEngine, residency: Residency
) -> None:
    await residency.ensure(NAME, FOLDER)
    residency.looking()
    await engine.unload(NAME)
    residency.observe(await engine.status())
    assert residency.state(NAME) == "unloaded"


async def test_what_a_worker_had_loaded_counts_for_its_tenant_once_it_is_asked(
    engine: ScriptedEngine, residency: Residency, files: Files
) -> None:
    whose = {"others": "b", "first": "a", "second": "a"}
    for name in whose:
        await engine.load(name, FOLDER)
    residency.looking()
    residency.observe(await engine.status())
    for name, tenant in whose.items():
        files.now += 1
        with residency.using(name):
            await residency.ensure(name, FOLDER, tenant)
    await residency.ensure("third", FOLDER, "a")
    assert residency.tiers()["memory"] == {"others", "second", "third"}


async def test_what_the_engine_will_not_let_go_harms_nobody(
    engine: ScriptedEngine, residency: Residency
) -> None:
    for name in ("1", "2", "3"):
        await residency.ensure(name, FOLDER)
    engine.unload_error = EngineRefused("it is busy", status=500)
    await residency.ensure("4", FOLDER)
    assert residency.state("4") == "loaded"
    residency.looking()
    residency.observe(await engine.status())
    assert residency.tiers()["memory"] == {"1", "2", "3", "4"}
    engine.unload_error = None
    await residency.trim()
    assert len(residency.tiers()["memory"]) == PLACES

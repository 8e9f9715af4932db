"""Files of a deleted adapter go, but never under a request that may be using them."""

import os
from pathlib import Path

import pytest
from sqlalchemy import update

from tests.engines import Fault, ScriptedEngine
from tests.peft import write_peft_folder
from tests.rows import NOW, an_adapter
from tunery_adapters.manifest import Provenance
from tunery_adapters.store import AdapterStore
from tunery_server.files.sweeper import MARGIN_S
from tunery_server.records.adapters import AdapterRecords
from tunery_server.records.database import Database
from tunery_server.records.rows import Adapter
from tunery_server.records.tables import adapters
from tunery_server.registry.removal import Removal
from tunery_server.serving.residency import Residency


class World:
    """One adapter, published, registered and deleted; and a clock."""

    def __init__(self, folder: Path, database: Database, engine: ScriptedEngine) -> None:
        self.now = NOW
        self.root = folder / "adapters"
        self.store = AdapterStore(self.root)
        self.records = AdapterRecords(database)
        self.residency = Residency(engine)
        self.removal = Removal(
            store=self.store,
            adapters=self.records,
            residency=self.residency,
            longest_request_s=600,
            clock=lambda: self.now,
        )
        self.source = write_peft_folder(folder / "source")

    def published(self, *, registered: bool = True) -> Adapter:
        adapter = an_adapter()
        self.store.publish(
            self.source,
            Provenance(
                adapter_id=adapter.adapter_id,
                version=1,
                model=adapter.model,
                base_model="base",
                tenant_id="acme",
                created_at=NOW,
            ),
        )
        if registered:
            self.records.add(adapter)
        for path in (self.root / adapter.adapter_id / "v1", self.root):
            os.utime(path, (NOW, NOW))
        return adapter

    def deleted(self) -> Adapter:
        adapter = self.published()
        self.records.retire("acme", adapter.model, self.now)
        return adapter

    def has(self, adapter: Adapter) -> bool:
        return (self.root / adapter.adapter_id).exists()


@pytest.fixture
def world(tmp_path: Path, database: Database, engine: ScriptedEngine) -> World:
    return World(tmp_path, database, engine)


async def test_files_go_once_no_request_can_be_left(world: World, engine: ScriptedEngine) -> None:
    gone, kept = world.deleted(), world.published()
    engine.adapters = {gone.model, kept.model}
    world.now += MARGIN_S
    await world.removal.look()
    assert world.has(gone)
    world.now += 1
    await world.removal.look()
    assert not world.has(gone)
    assert world.has(kept)
    assert engine.adapters == {kept.model}
    assert world.records.leaving(world.now) == ()


async def test_not_under_a_request_of_this_gateway(world: World) -> None:
    adapter = world.deleted()
    world.now += 10 * MARGIN_S
    with world.residency.using(adapter.model):
        await world.removal.look()
        assert world.has(adapter)
    await world.removal.look()
    assert not world.has(adapter)


async def test_not_before_the_engine_has_forgotten_it(world: World, engine: ScriptedEngine) -> None:
    adapter = world.deleted()
    world.now += 10 * MARGIN_S
    engine.fault = Fault.AWAY
    await world.removal.look()
    assert world.has(adapter)
    engine.fault = Fault.NONE
    await world.removal.look()
    assert not world.has(adapter)


@pytest.mark.promise("P2", fault="killed after the files went and before the record says so")
async def test_a_crash_in_the_middle_does_no_harm(world: World) -> None:
    adapter = world.deleted()
    world.store.delete(adapter.adapter_id, 1)
    world.now += 10 * MARGIN_S
    await world.removal.look()
    assert world.records.leaving(world.now) == ()


@pytest.mark.promise("P2", fault="killed between publishing and registering")
async def test_what_was_published_and_never_registered_goes(world: World) -> None:
    orphan, kept = world.published(registered=False), world.published()
    scratch = world.root / ".tmp-0"
    scratch.mkdir()
    world.now += MARGIN_S - 1
    await world.removal.look()
    assert world.has(orphan)
    assert not scratch.exists(), "no process holds the folder: whoever made it is gone"
    world.now += 2
    await world.removal.look()
    assert {path.name for path in world.root.iterdir()} == {kept.adapter_id}


async def test_one_deleted_by_an_earlier_release_goes_too(world: World, database: Database) -> None:
    """Its record does not say when."""
    adapter = world.deleted()
    with database.writing() as connection:
        connection.execute(update(adapters).values(retired_at=None))
    await world.removal.look()
    assert not world.has(adapter)

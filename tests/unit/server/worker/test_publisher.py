from pathlib import Path

import pytest

from tests.engines import Fault, ScriptedEngine
from tests.peft import RANK, write_peft_folder
from tests.rows import a_job
from tunery_adapters.card import card
from tunery_adapters.errors import AdapterNotFoundError
from tunery_adapters.store import AdapterStore
from tunery_server.errors import EngineRefused
from tunery_server.records.adapters import AdapterRecords
from tunery_server.records.rows import Adapter, Job
from tunery_server.worker.publisher import Publisher
from tunery_server.worker.trainer import TrainerFailed

from .conftest import StoppedClock

JOB = a_job(id="ftjob-" + "0123456789abcdef" * 2)
MODEL = "ft:base:tunery:pirate:0123456789abcdef"


def publish(publisher: Publisher, folder: Path, *, job: Job = JOB, step: int = 10) -> Adapter:
    return publisher.publish(
        job,
        folder,
        step=step,
        dataset_sha256="0" * 64,
        metrics={"train_loss": 0.5},
        checkpoint=step < 10,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_peft_folder(tmp_path / "trained")


def test_an_adapter_is_published_and_not_yet_seen(
    publisher: Publisher, adapters: AdapterRecords, store: AdapterStore, folder: Path
) -> None:
    adapter = publish(publisher, folder)
    assert adapter.model == MODEL == publisher.final_model(JOB)
    assert adapters.get("acme", MODEL) is None
    manifest = store.verify(adapter.adapter_id, adapter.version)
    assert (manifest.rank, manifest.model, manifest.tenant_id) == (RANK, MODEL, "acme")
    assert adapter.sha256 == manifest.files["adapter_model.safetensors"].sha256


def test_the_manifest_says_whence_it_comes(
    publisher: Publisher, store: AdapterStore, folder: Path
) -> None:
    adapter = publish(publisher, folder)
    manifest = store.manifest(adapter.adapter_id, adapter.version)
    assert manifest.base_sha256 == publisher.base_sha256()
    assert manifest.training_file == JOB.training_file
    assert manifest.settings["seed"] == JOB.seed
    assert manifest.libraries.keys() >= {"tunery", "safetensors"}
    text = card(manifest)
    for told in (JOB.id, JOB.training_file, "0" * 64, str(manifest.base_sha256), "lora.rank"):
        assert told in text


def test_a_repeat_after_a_crash_changes_nothing(
    publisher: Publisher, store: AdapterStore, folder: Path, clock: StoppedClock
) -> None:
    first = publish(publisher, folder)
    manifest = store.manifest(first.adapter_id, 1)
    clock.now += 100
    again = publish(publisher, folder)
    assert again.sha256 == first.sha256
    assert store.verify(first.adapter_id, 1) == manifest


@pytest.mark.promise("P2", fault="an attempt is lost after it published")
def test_what_an_earlier_attempt_published_stands(
    publisher: Publisher, store: AdapterStore, folder: Path, tmp_path: Path
) -> None:
    first = publish(publisher, folder)
    other = write_peft_folder(tmp_path / "other", value=0.25)
    assert publish(publisher, other).sha256 == first.sha256
    store.verify(first.adapter_id, 1)


def test_what_was_published_for_a_job_that_did_not_succeed_is_withdrawn(
    publisher: Publisher, store: AdapterStore, folder: Path
) -> None:
    checkpoint, final = publish(publisher, folder, step=3), publish(publisher, folder)
    publisher.withdraw(JOB)
    publisher.withdraw(JOB)
    store.verify(checkpoint.adapter_id, 1)
    with pytest.raises(AdapterNotFoundError):
        store.path(final.adapter_id, 1)


def test_checkpoints_have_names_and_folders_of_their_own(
    publisher: Publisher, folder: Path
) -> None:
    made = [publish(publisher, folder, step=step) for step in (3, 6, 10)]
    assert [adapter.model for adapter in made] == [
        f"{MODEL}:ckpt-step-3",
        f"{MODEL}:ckpt-step-6",
        MODEL,
    ]
    assert len({adapter.adapter_id for adapter in made}) == 3


def test_an_adapter_that_cannot_be_served_fails_the_job(
    publisher: Publisher, adapters: AdapterRecords, tmp_path: Path
) -> None:
    folder = write_peft_folder(tmp_path / "bad", value=float("nan"))
    with pytest.raises(TrainerFailed) as raised:
        publish(publisher, folder)
    assert raised.value.code == "invalid_adapter"
    assert str(tmp_path) not in raised.value.message
    assert adapters.get("acme", MODEL) is None


def test_a_child_says_whose_it_is(publisher: Publisher, store: AdapterStore, folder: Path) -> None:
    parent = publish(publisher, folder)
    child = publish(publisher, folder, job=a_job(parent=parent.model))
    assert (parent.parent, child.parent) == (None, parent.model)
    assert store.manifest(child.adapter_id, 1).parent == parent.model


def test_the_parents_folder_is_found_whole(
    publisher: Publisher, adapters: AdapterRecords, store: AdapterStore, folder: Path
) -> None:
    parent = publish(publisher, folder)
    adapters.add(parent)
    found = publisher.parent(a_job(parent=parent.model))
    assert found == store.path(parent.adapter_id, 1)
    assert publisher.parent(a_job()) is None


@pytest.mark.parametrize(
    ("fate", "code"), [("deleted", "model_not_found"), ("damaged", "invalid_adapter")]
)
def test_a_parent_that_is_gone_or_damaged_fails_the_job(
    publisher: Publisher,
    adapters: AdapterRecords,
    store: AdapterStore,
    folder: Path,
    fate: str,
    code: str,
) -> None:
    parent = publish(publisher, folder)
    adapters.add(parent)
    if fate == "deleted":
        adapters.retire("acme", parent.model, 1.0)
    else:
        weights = store.path(parent.adapter_id, 1) / "adapter_model.safetensors"
        weights.chmod(0o600)
        weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(TrainerFailed) as raised:
        publisher.parent(a_job(parent=parent.model))
    assert (raised.value.code, raised.value.param) == (code, "model")
    assert parent.model in raised.value.message


def test_another_tenants_adapter_is_no_parent(
    publisher: Publisher, adapters: AdapterRecords, folder: Path
) -> None:
    parent = publish(publisher, folder)
    adapters.add(parent)
    with pytest.raises(TrainerFailed, match="was deleted"):
        publisher.parent(a_job(tenant_id="rival", parent=parent.model))


async def test_an_adapter_is_loaded_from_where_it_was_published(
    publisher: Publisher, engine: ScriptedEngine, store: AdapterStore, folder: Path
) -> None:
    adapter = publish(publisher, folder)
    assert await publisher.load(adapter)
    assert engine.loads == [(MODEL, store.path(adapter.adapter_id, 1))]


async def test_an_engine_that_stays_away_is_not_waited_for_without_end(
    publisher: Publisher, engine: ScriptedEngine, folder: Path, clock: StoppedClock
) -> None:
    engine.fault = Fault.AWAY
    began = clock.now
    assert not await publisher.load(publish(publisher, folder))
    assert 10.0 <= clock.now - began < 11.0


async def test_an_engine_that_comes_back_loads_it(
    publisher: Publisher,
    engine: ScriptedEngine,
    folder: Path,
    clock: StoppedClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine.fault = Fault.AWAY
    adapter = publish(publisher, folder)

    async def sleep(seconds: float) -> None:
        clock.now += seconds
        if len(engine.loads) == 3:
            engine.fault = Fault.NONE

    monkeypatch.setattr(publisher, "_sleep", sleep)
    assert await publisher.load(adapter)
    assert len(engine.loads) == 4


async def test_an_adapter_that_the_engine_refuses_fails_the_job(
    publisher: Publisher, engine: ScriptedEngine, folder: Path
) -> None:
    engine.load_error = EngineRefused("/secret/path", status=400)
    with pytest.raises(TrainerFailed) as raised:
        await publisher.load(publish(publisher, folder))
    assert raised.value.code == "adapter_refused"
    assert "secret" not in raised.value.message

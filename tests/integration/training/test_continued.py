"""Going on from an adapter: its weights are where the job begins, and what DPO is measured from."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tests.integration.training.rows import (
    EXACT,
    at_step,
    make_spec,
    pair,
    run_job,
    weights_of,
    write_rows,
)
from tunery_adapters.reports import AnyReport, Evaluation, Finished, Loaded, Plan, Step, Stopped
from tunery_adapters.spec import EvaluationSpec, LoraSpec, TrainingSpec
from tunery_adapters.training.failures import InvalidModelError
from tunery_adapters.training.job import fingerprint

pytestmark = pytest.mark.training

LORA = LoraSpec(rank=8)


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Finished:
    """The end of a job that kept the best adapter, which its loss on its own rows says."""
    spec = make_spec(
        tmp_path_factory.mktemp("parent"),
        tiny_model,
        lora=LORA,
        learning_rate_multiplier=10.0,
        evaluation=EvaluationSpec(keep="best"),
    )
    spec = spec.model_copy(update={"validation_file": spec.training_file})
    finished = run_job(spec, precision=EXACT)[-1]
    assert isinstance(finished, Finished)
    return finished


@pytest.fixture
def parent(learnt: Finished) -> Path:
    """Its adapter."""
    return Path(learnt.adapter_path)


def child(folder: Path, model: Path, parent: Path | None, **changes: Any) -> TrainingSpec:
    initial = str(parent) if parent else None
    return make_spec(folder, model, **{"lora": LORA, "initial_adapter": initial, **changes})


def steps(said: list[AnyReport]) -> list[Step]:
    return [report for report in said if isinstance(report, Step)]


def test_a_job_begins_where_its_parent_ended(
    tmp_path: Path, tiny_model: Path, parent: Path, learnt: Finished
) -> None:
    """Its first loss is the parent's last; at a rate of next to nothing it moves no further."""
    whole = {"batch_size": 10, "learning_rate_multiplier": 1e-9}
    spec = child(tmp_path, tiny_model, parent, **whole)
    losses = [step.train_loss for step in steps(run_job(spec, precision=EXACT))]
    assert losses == pytest.approx([learnt.valid_loss] * 2, abs=1e-4)
    made = load_file(Path(spec.output_dir) / "adapter" / "adapter_model.safetensors")
    began = load_file(parent / "adapter_model.safetensors")
    assert made.keys() == began.keys()
    for name, weights in made.items():
        assert (weights - began[name]).abs().max() < 1e-6, name


def test_its_optimiser_and_schedule_are_its_own(
    tmp_path: Path, tiny_model: Path, parent: Path
) -> None:
    said = run_job(child(tmp_path, tiny_model, parent))
    loaded = said[0]
    assert isinstance(loaded, Loaded)
    assert loaded.resumed_from_step is None
    (plan,) = (report for report in said if isinstance(report, Plan))
    assert [step.step for step in steps(said)] == list(range(1, plan.total_steps + 1))


@pytest.mark.parametrize("beta", [None, 0.3])
def test_a_stopped_job_goes_on_from_its_own_checkpoint(
    tmp_path: Path, tiny_model: Path, parent: Path, beta: float | None
) -> None:
    pairs = write_rows(tmp_path / "pairs.jsonl", [pair(i) for i in range(10)])
    wish = {"training_file": str(pairs), "format": "preference", "beta": beta} if beta else {}
    calm = child(tmp_path, tiny_model, parent, **wish)
    run_job(calm)
    spec = calm.model_copy(update={"output_dir": str(tmp_path / "again")})
    assert run_job(spec, until=at_step(3))[-1] == Stopped(step=3)
    loaded = run_job(spec)[0]
    assert isinstance(loaded, Loaded)
    assert loaded.resumed_from_step == 3
    assert weights_of(spec.output_dir) == weights_of(calm.output_dir)


def test_preferences_are_measured_from_the_parent(
    tmp_path: Path, tiny_model: Path, parent: Path
) -> None:
    """At the first step nothing is preferred, however much the parent had learnt."""
    pairs = write_rows(tmp_path / "pairs.jsonl", [pair(i) for i in range(10)])
    spec = child(
        tmp_path,
        tiny_model,
        parent,
        training_file=str(pairs),
        validation_file=str(pairs),
        format="preference",
        beta=0.3,
        learning_rate_multiplier=10.0,
    )
    said = run_job(spec, precision=EXACT)
    first = steps(said)[0]
    assert first.train_loss == pytest.approx(0.6931, abs=1e-3)
    assert first.train_reward_margin == pytest.approx(0.0, abs=1e-3)
    (*_, last) = (report for report in said if isinstance(report, Evaluation))
    assert last.valid_accuracy == 1.0
    assert last.valid_reward_margin is not None
    assert last.valid_reward_margin > 0.2


def test_another_parent_makes_another_job(tmp_path: Path, tiny_model: Path, parent: Path) -> None:
    spec = child(tmp_path, tiny_model, parent)
    moved = shutil.copytree(parent, tmp_path / "moved")
    assert fingerprint(spec) == fingerprint(child(tmp_path, tiny_model, moved))
    weights = moved / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    assert fingerprint(spec) != fingerprint(child(tmp_path, tiny_model, moved))
    assert fingerprint(spec) != fingerprint(child(tmp_path, tiny_model, None))


def test_an_adapter_of_another_scale_is_not_gone_on_from(
    tmp_path: Path, tiny_model: Path, parent: Path
) -> None:
    scaled = shutil.copytree(parent, tmp_path / "scaled")
    config = json.loads((scaled / "adapter_config.json").read_text())
    (scaled / "adapter_config.json").write_text(json.dumps({**config, "use_rslora": True}))
    with pytest.raises(InvalidModelError, match="rsLoRA") as raised:
        run_job(child(tmp_path, tiny_model, scaled))
    assert raised.value.param == "model"

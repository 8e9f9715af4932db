"""A job in this process: its reports, its checkpoints, and stopping and going on."""

import itertools
import json
import math
from pathlib import Path
from threading import Event

import pytest
import torch

from tests.integration.training.rows import at_step, make_spec, row, weights_of, write_rows
from tests.integration.training.rows import run_job as run
from tunery_adapters.peft_files import inspect
from tunery_adapters.reports import (
    AnyReport,
    Checkpoint,
    DataReport,
    Finished,
    Loaded,
    SkippedCheckpoint,
    Step,
    Stopped,
)
from tunery_adapters.spec import LoraSpec
from tunery_adapters.training import job
from tunery_adapters.training.failures import (
    DivergedError,
    InvalidModelError,
    as_report,
)
from tunery_adapters.training.loop import Clock
from tunery_adapters.training.model import Precision

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> bytes:
    spec = make_spec(tmp_path_factory.mktemp("undisturbed"), tiny_model)
    run(spec)
    return weights_of(spec.output_dir)


def test_a_job_says_what_it_does(tmp_path: Path, tiny_model: Path) -> None:
    held_out = write_rows(tmp_path / "held-out.jsonl", [row(i) for i in range(20, 23)])
    spec = make_spec(tmp_path, tiny_model, validation_file=str(held_out), lora=LoraSpec(rank=8))
    said = run(spec)
    epoch = ["step", "step", "step", "evaluation", "checkpoint"]
    assert [report.type for report in said] == [
        *("loaded", "data", "data", "plan"), *epoch, *epoch, "finished",
    ]  # fmt: skip
    data = next(report for report in said if isinstance(report, DataReport))
    finished = said[-1]
    assert isinstance(finished, Finished)
    assert finished.trained_tokens == 2 * data.trained_tokens
    assert Path(finished.adapter_path) == Path(spec.output_dir) / "adapter"
    steps = [report for report in said if isinstance(report, Step)]
    assert [step.step for step in steps] == [1, 2, 3, 4, 5, 6]
    assert sum(step.tokens for step in steps) == 2 * data.tokens
    assert steps[-1].seconds_left == 0
    assert steps[2].epoch == 1


def test_every_checkpoint_is_a_servable_folder(tmp_path: Path, tiny_model: Path) -> None:
    said = run(make_spec(tmp_path, tiny_model))
    paths = [report.adapter_path for report in said if isinstance(report, Checkpoint | Finished)]
    assert len(paths) == 3
    for path in map(Path, paths):
        peft = inspect(path, max_rank=8)
        assert (peft.rank, peft.tensor_count) == (8, 2 * 2 * 7)
        assert peft.target_modules[0] == "down_proj"
        assert {file.name for file in path.iterdir()} == {
            "adapter_config.json",
            "adapter_model.safetensors",
        }
        assert str(tmp_path) not in (path / "adapter_config.json").read_text()


@pytest.mark.parametrize("step", [1, 3, 5])
def test_a_stopped_job_goes_on_as_if_it_had_not_been(
    tmp_path: Path, tiny_model: Path, undisturbed: bytes, step: int
) -> None:
    spec = make_spec(tmp_path, tiny_model)
    first = run(spec, until=at_step(step))
    assert first[-1] == Stopped(step=step)
    second = run(spec)
    assert isinstance(second[0], Loaded)
    assert second[0].resumed_from_step == step
    steps = [r.step for r in (*first, *second) if isinstance(r, Step)]
    assert steps == [1, 2, 3, 4, 5, 6]
    assert weights_of(spec.output_dir) == undisturbed


def test_a_job_stopped_before_its_first_step_left_nothing(tmp_path: Path, tiny_model: Path) -> None:
    spec = make_spec(tmp_path, tiny_model)
    assert run(spec, until=lambda report: report.type == "plan")[-1] == Stopped(step=0)
    assert not Path(spec.output_dir).exists()


def test_a_job_stopped_while_it_evaluates_repeats_the_evaluation(
    tmp_path: Path, tiny_model: Path
) -> None:
    held_out = write_rows(tmp_path / "held-out.jsonl", [row(20)])
    spec = make_spec(tmp_path, tiny_model, validation_file=str(held_out))
    assert run(spec, until=at_step(3))[-1] == Stopped(step=3)
    assert [report.type for report in run(spec)][4:6] == ["evaluation", "checkpoint"]


@pytest.mark.promise("P8", fault="the newest checkpoint is damaged")
@pytest.mark.parametrize(
    "name", ["adapter/adapter_model.safetensors", "optimizer.safetensors", "complete.json"]
)
def test_a_damaged_checkpoint_is_passed_over(
    tmp_path: Path, tiny_model: Path, undisturbed: bytes, name: str
) -> None:
    spec = make_spec(tmp_path, tiny_model)
    run(spec, until=at_step(5))
    file = Path(spec.output_dir) / "checkpoints" / "recovery-5" / name
    file.write_bytes(file.read_bytes()[:-1])
    (
        skipped,
        loaded,
        *_,
    ) = said = run(spec)
    assert isinstance(skipped, SkippedCheckpoint)
    assert skipped.name == "recovery-5"
    assert skipped.reason.startswith(name)
    assert isinstance(loaded, Loaded)
    assert loaded.resumed_from_step == 3
    again = next(report for report in said if isinstance(report, Checkpoint))
    assert again.step == 3
    assert weights_of(spec.output_dir) == undisturbed


def test_a_checkpoint_of_another_job_is_not_used(tmp_path: Path, tiny_model: Path) -> None:
    run(make_spec(tmp_path, tiny_model))
    (loaded, *_) = run(make_spec(tmp_path, tiny_model, seed=8))
    assert isinstance(loaded, Loaded)
    assert loaded.resumed_from_step is None


def test_long_epochs_are_saved_in_between(tmp_path: Path, tiny_model: Path) -> None:
    ticks = itertools.count(0.0, 200.0)
    spec = make_spec(tmp_path, tiny_model)
    checkpoints = Path(spec.output_dir) / "checkpoints"
    said = run(spec, at_step(5), Clock(monotonic=lambda: next(ticks)))
    assert said[-1] == Stopped(step=5)
    names = {folder.name for folder in checkpoints.iterdir()}
    assert names == {"step-3", "recovery-4", "recovery-5"}
    run(spec)
    names = {folder.name for folder in checkpoints.iterdir()}
    assert names == {"step-3", "recovery-5", "step-6"}


def test_qlora_trains_and_exports_a_servable_folder(tmp_path: Path, tiny_model: Path) -> None:
    lora = LoraSpec(rank=8, quantization="nf4")
    spec = make_spec(tmp_path, tiny_model, lora=lora, n_epochs=4)
    said = run(spec)
    losses = [report.train_loss for report in said if isinstance(report, Step)]
    assert losses[-1] < losses[0] - 0.1
    assert inspect(Path(spec.output_dir) / "adapter", max_rank=8).tensor_count == 28


def test_a_target_that_is_no_linear_layer_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    for target in ("lm_head", "embed_tokens", "nowhere"):
        lora = LoraSpec(target_modules=("q_proj", target))
        with pytest.raises(InvalidModelError, match=f"{target}: not a linear layer") as caught:
            run(make_spec(tmp_path, tiny_model, lora=lora))
        assert caught.value.param == "lora.target_modules"


def test_a_model_with_code_of_its_own_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for file in tiny_model.iterdir():
        (model / file.name).symlink_to(file)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").unlink()
    (model / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "x.Y"}}))
    with pytest.raises(InvalidModelError, match="code of its own"):
        run(make_spec(tmp_path, model))


def test_a_loss_that_runs_away_is_a_failure(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunery_adapters.training.steps.clip", lambda _: math.nan)
    with pytest.raises(DivergedError):
        run(make_spec(tmp_path, tiny_model))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), "out_of_memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "out_of_memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out_of_memory"),
        (OSError(28, "No space left on device"), "storage_full"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "storage_full"),
        (KeyError("/srv/secret"), "trainer_error"),
        (InvalidModelError("no"), "invalid_model"),
    ],
)
def test_every_fault_has_a_code_and_a_message_without_paths(
    tmp_path: Path, error: Exception, code: str
) -> None:
    failed = as_report(error, make_spec(tmp_path, tmp_path))
    assert failed.code == code
    assert "/" not in failed.message


@pytest.mark.promise("P12", fault="an allocation of the trainer fails")
def test_running_out_of_memory_names_what_was_asked(tmp_path: Path) -> None:
    message = as_report(MemoryError(), make_spec(tmp_path, tmp_path)).message
    assert "batch of 4" in message
    assert "256 tokens" in message


def test_a_job_goes_on_in_the_precision_that_it_began_with(
    tmp_path: Path, tiny_model: Path
) -> None:
    spec = make_spec(tmp_path, tiny_model)
    stop = Event()
    for dtype in (torch.float32, torch.bfloat16):
        said: list[AnyReport] = []
        job.run(spec, said.append, stop, Clock(), Precision(torch.device("cpu"), dtype))
        assert isinstance(said[0], Loaded)
        assert said[0].dtype == "float32"


class StopAfter(Event):
    """An event that sets itself once it was asked often enough."""

    def __init__(self, checks: float) -> None:
        super().__init__()
        self.checks = 0
        self._enough = checks

    def is_set(self) -> bool:
        self.checks += 1
        return self.checks > self._enough


def test_a_large_step_is_left_between_passes_and_repeated(tmp_path: Path, tiny_model: Path) -> None:
    many = str(write_rows(tmp_path / "many.jsonl", [row(i) for i in range(60)]))
    calm = make_spec(tmp_path, tiny_model, training_file=many, batch_size=60)
    never = StopAfter(math.inf)
    assert job.run(calm, lambda report: None, never, Clock())
    assert never.checks >= 4, "a step of one pass cannot be left in the middle"
    spec = calm.model_copy(update={"output_dir": str(tmp_path / "again")})
    said: list[AnyReport] = []
    assert not job.run(spec, said.append, StopAfter(never.checks - 1), Clock())
    assert said[-1] == Stopped(step=1)
    run(spec)
    assert weights_of(spec.output_dir) == weights_of(calm.output_dir)

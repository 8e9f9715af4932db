"""The trainer as a process: signals, exit status, and a standard output of reports alone."""

import signal
from pathlib import Path
from threading import Event

import pytest

from tests.integration.training.rows import (
    TrainerProcess,
    make_spec,
    row,
    weights_of,
    write_rows,
)
from tunery_adapters.reports import EXIT_STOPPED, Failed, Finished, Loaded, Step, Stopped
from tunery_adapters.spec import TrainingSpec
from tunery_adapters.training import job
from tunery_adapters.training.loop import Clock

pytestmark = [pytest.mark.training, pytest.mark.timeout(600)]


@pytest.fixture
def spec(tmp_path: Path, tiny_model: Path) -> TrainingSpec:
    """Steps enough that a signal finds the job under way."""
    many = write_rows(tmp_path / "many.jsonl", [row(i) for i in range(120)])
    return make_spec(tmp_path, tiny_model, training_file=str(many))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> bytes:
    folder = tmp_path_factory.mktemp("undisturbed")
    many = write_rows(folder / "many.jsonl", [row(i) for i in range(120)])
    spec = make_spec(folder, tiny_model, training_file=str(many))
    assert job.run(spec, lambda report: None, Event(), Clock())
    return weights_of(spec.output_dir)


@pytest.mark.promise("P8", fault="SIGTERM of the trainer")
def test_sigterm_stops_at_a_checkpoint_and_the_job_goes_on(
    spec: TrainingSpec, undisturbed: bytes
) -> None:
    with TrainerProcess(spec) as trainer:
        assert trainer.signal_at_step(4, signal.SIGTERM) == EXIT_STOPPED
    stopped = trainer.seen[-1]
    assert isinstance(stopped, Stopped)
    assert 4 <= stopped.step < 60
    with TrainerProcess(spec) as trainer:
        assert trainer.run() == 0
    (loaded, *_) = trainer.seen
    assert isinstance(loaded, Loaded)
    assert loaded.resumed_from_step == stopped.step
    assert isinstance(trainer.seen[-1], Finished)
    assert weights_of(spec.output_dir) == undisturbed


@pytest.mark.promise("P8", fault="SIGKILL of the trainer between two checkpoints")
def test_sigkill_loses_only_what_came_after_the_last_checkpoint(
    spec: TrainingSpec, undisturbed: bytes
) -> None:
    with TrainerProcess(spec) as trainer:
        assert trainer.signal_at_step(35, signal.SIGKILL) == -signal.SIGKILL
    with TrainerProcess(spec) as trainer:
        assert trainer.run() == 0
    (loaded, *_) = trainer.seen
    assert isinstance(loaded, Loaded)
    assert loaded.resumed_from_step == 30
    assert [r.step for r in trainer.seen if isinstance(r, Step)] == list(range(31, 61))
    assert weights_of(spec.output_dir) == undisturbed


def test_a_bad_row_ends_the_job_with_its_line(tmp_path: Path, tiny_model: Path) -> None:
    bad = write_rows(tmp_path / "bad.jsonl", [row(0), {"messages": [{"role": "user"}]}, 7])
    with TrainerProcess(make_spec(tmp_path, tiny_model, training_file=str(bad))) as trainer:
        assert trainer.run() == 1
    (failed,) = trainer.seen
    assert isinstance(failed, Failed)
    assert (failed.code, failed.param) == ("invalid_file", "training_file")
    assert "Line 3 of the training file" in failed.message

"""The trainer's process seen from outside; the process is a stand-in that fails on demand."""

import asyncio
from pathlib import Path

import pytest

from tests.servers import alive
from tests.stand_in_trainer import install
from tunery_adapters.reports import AnyReport, Finished, Step
from tunery_adapters.spec import TrainingSpec
from tunery_server.worker import trainer as module
from tunery_server.worker.trainer import Trainer, TrainerFailed, TrainerStopped


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    spec = TrainingSpec(
        job_id="ftjob-1",
        base_model_path="/base",
        training_file="/train.jsonl",
        output_dir=str(tmp_path),
        n_epochs=1,
        batch_size=1,
        learning_rate_multiplier=1.0,
        seed=1,
        max_length=64,
        threads=3,
    )
    return Trainer(spec, tmp_path, niceness=5, silence_s=60.0)


async def reports(trainer: Trainer) -> list[AnyReport]:
    return [report async for report in trainer.reports()]


async def test_reports_are_handed_on_in_order(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "step(1); step(2); finished(2)")
    first, second, last = await reports(trainer)
    assert isinstance(first, Step)
    assert isinstance(second, Step)
    assert (first.step, second.step) == (1, 2)
    assert isinstance(last, Finished)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("print('Loading weights...', flush=True)", "trainer_error"),
        ("print('{}', flush=True)", "trainer_error"),
        ("say('step', step=1)", "trainer_error"),
        ("say('stopped', step=1, more=1)", "trainer_error"),
        ("print('x' * 2**21, flush=True)", "trainer_error"),
        ("sys.stdout.buffer.write(b'\\xff\\n')", "trainer_error"),
        ("sys.exit(1)", "trainer_error"),
        ("step(1); sys.exit(1)", "trainer_error"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "trainer_error"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "out_of_memory"),
        ("step(1); sys.exit(137)", "out_of_memory"),
        ("say('failed', code='invalid_file', message='no', param='training_file')", "invalid_file"),
        ("raise RuntimeError", "trainer_error"),
    ],
)
async def test_what_goes_wrong_has_a_code(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, code: str
) -> None:
    install(tmp_path, monkeypatch, script)
    with pytest.raises(TrainerFailed) as raised:
        await reports(trainer)
    assert raised.value.code == code


async def test_a_failure_keeps_the_trainers_words(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "say('failed', code='c', message='too long', param='p')")
    with pytest.raises(TrainerFailed) as raised:
        await reports(trainer)
    assert (raised.value.message, raised.value.param) == ("too long", "p")


@pytest.mark.parametrize("script", ["sys.exit(75)", "say('stopped', step=3); sys.exit(75)"])
async def test_a_trainer_that_stopped_at_a_checkpoint_is_told_apart(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    install(tmp_path, monkeypatch, script)
    with pytest.raises(TrainerStopped):
        await reports(trainer)


@pytest.mark.parametrize(
    "script",
    [
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(75)); step(1); time.sleep(600)",
        "step(1); time.sleep(600)",
    ],
    ids=["checkpoint", "still-starting"],
)
async def test_stopping_is_one_sigterm(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    install(tmp_path, monkeypatch, script)
    running = trainer.reports()
    await anext(running)
    trainer.stop()
    trainer.stop()
    with pytest.raises(TrainerStopped):
        await anext(running)
    trainer.stop()


async def test_a_trainer_that_does_not_stop_is_killed_and_not_called_out_of_memory(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_GRACE_S", 0.05)
    script = "signal.signal(signal.SIGTERM, signal.SIG_IGN); step(1); time.sleep(600)"
    install(tmp_path, monkeypatch, script)
    running = trainer.reports()
    await anext(running)
    trainer.stop()
    with pytest.raises(TrainerStopped):
        await anext(running)


async def test_leaving_early_kills_the_process(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "(folder / 'pid').write_text(str(os.getpid())); step(1); time.sleep(600)"
    install(tmp_path, monkeypatch, script)
    running = trainer.reports()
    await anext(running)
    pid = int((tmp_path / "pid").read_text())
    assert alive([pid])
    async with asyncio.timeout(30):
        await running.aclose()
    assert not alive([pid])


async def test_the_process_is_nice_and_knows_no_secret(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TUNERY_API_KEY", "DATABASE_URL", "REDIS_URL", "OPENAI_API_KEY", "HF_TOKEN"):
        monkeypatch.setenv(name, "secret")
    script = "import os; (folder / 'seen').write_text(json.dumps([os.nice(0), dict(os.environ)]))"
    install(tmp_path, monkeypatch, script)
    await reports(trainer)
    seen = (tmp_path / "seen").read_text()
    assert "secret" not in seen
    assert '"OMP_NUM_THREADS": "3"' in seen
    assert '"HF_HUB_OFFLINE": "1"' in seen
    assert seen.startswith("[5, ")


async def test_what_the_process_writes_about_itself_is_kept(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "print('a warning', file=sys.stderr)")
    await reports(trainer)
    assert (tmp_path / "trainer.log").read_text() == "a warning\n"
    assert "ftjob-1" in (tmp_path / "spec.json").read_text()


async def test_signs_of_life_reach_the_process(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer.beat()
    install(tmp_path, monkeypatch, "step(1); assert sys.stdin.read(2) == '\\n\\n'; finished(1)")
    running = trainer.reports()
    await anext(running)
    trainer.beat()
    trainer.beat()
    assert isinstance(await anext(running), Finished)
    await running.aclose()
    trainer.beat()


async def test_a_trainer_that_was_left_alone_can_go_on(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "assert sys.argv[2:] == ['--silence', '60.0']; sys.exit(76)")
    with pytest.raises(TrainerStopped):
        await reports(trainer)

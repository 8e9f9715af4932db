"""A trainer whose worker says nothing ends by itself."""

import os
import queue
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.training.rows import make_spec, row, write_rows
from tunery_adapters.reports import EXIT_ABANDONED
from tunery_adapters.training.watch import watch


class TestWatch:
    def test_bytes_keep_it_quiet_and_silence_ends_it(self) -> None:
        ended: queue.Queue[int] = queue.Queue()
        inward, outward = os.pipe()
        thread = watch(inward, 0.3, ended.put)
        for _ in range(8):
            os.write(outward, b"\n")
            with pytest.raises(queue.Empty):
                ended.get(timeout=0.1)
        assert ended.get(timeout=60) == EXIT_ABANDONED
        thread.join(5)
        os.close(inward)
        os.close(outward)

    def test_a_closed_pipe_ends_it_at_once(self) -> None:
        ended: queue.Queue[int] = queue.Queue()
        inward, outward = os.pipe()
        thread = watch(inward, 600.0, ended.put)
        os.close(outward)
        assert ended.get(timeout=60) == EXIT_ABANDONED
        thread.join(5)
        os.close(inward)


@pytest.mark.promise("P5", fault="a trainer hears nothing of its worker")
@pytest.mark.training
def test_the_trainer_ends_amid_its_work_and_leaves_no_checkpoint(
    tmp_path: Path, tiny_model: Path
) -> None:
    many = write_rows(tmp_path / "many.jsonl", [row(number) for number in range(400)])
    spec = make_spec(tmp_path, tiny_model, training_file=str(many), n_epochs=50)
    file = tmp_path / "spec.json"
    file.write_text(spec.model_dump_json())
    command = [sys.executable, "-m", "tunery_adapters.training", str(file), "--silence", "90"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as trainer:
        assert trainer.stdin is not None
        assert trainer.stdout is not None
        for line in trainer.stdout:
            if b'"type":"step"' in line:
                break
        trainer.stdin.close()
        assert trainer.wait(10) == EXIT_ABANDONED
    assert not (tmp_path / "output" / "adapter").exists()

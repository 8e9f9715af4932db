"""Peak memory of short real trainings beside what ``tunery_adapters.footprint`` says of them.

``python benchmarks/training_memory.py <folder of the base model>`` trains on the CPU, each job in a
process of its own, and prints one line a job: mebibytes measured (the highest resident set, as
``wait4`` tells it), the estimate, their ratio, and how fast it went. Takes about three minutes on
two cores.
"""

import json
import os
import random
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from tunery_adapters.base_model import BaseShape, read_shape
from tunery_adapters.footprint import MARGIN, Load, flops_a_token, memory_bytes
from tunery_adapters.reports import AnyReport, Step
from tunery_adapters.spec import LoraSpec, TrainingSpec

_THREADS = 2
_STEPS = 2
_MEBIBYTE = 2**20
_WORDS = ["alpha", "beta", "gamma", "delta", "tree", "house", "river", "stone"]


@dataclass(frozen=True)
class Case:
    """One training: its sequences are all of ``length`` tokens."""

    length: int
    batch_size: int
    lora: LoraSpec
    pairs: bool = False
    dtype: str = "bfloat16"

    def load(self) -> Load:
        """As the server would describe it."""
        return Load(
            lora=self.lora,
            batch_size=self.batch_size,
            longest=self.length,
            pairs=self.pairs,
            device="cpu",
            item_bytes=4 if self.dtype == "float32" else 2,
        )


GRID = (
    Case(64, 1, LoraSpec()),
    Case(64, 16, LoraSpec()),
    Case(512, 1, LoraSpec(rank=8)),
    Case(512, 2, LoraSpec()),
    Case(512, 1, LoraSpec(rank=64)),
    Case(1024, 1, LoraSpec()),
    Case(512, 1, LoraSpec(target_modules=("q_proj", "v_proj"))),
    Case(64, 2, LoraSpec(), pairs=True),
    Case(256, 2, LoraSpec(), pairs=True),
    Case(256, 1, LoraSpec(quantization="nf4")),
    Case(256, 1, LoraSpec(dropout=0.1)),
    Case(256, 1, LoraSpec(), dtype="float32"),
    Case(1024, 1, LoraSpec(), dtype="float32"),
)


def main(model: str) -> None:
    """Print the table and the largest ratio of what was measured to what was estimated."""
    base = read_shape(Path(model))
    if base is None:
        sys.exit("the base model's sizes cannot be read")
    print(
        "length batch rank kind      dtype    | measured estimate ratio | tokens/s GFLOP/s/thread"
    )
    ratios = [_measure(case, base, model) for case in GRID]
    print(f"measured / estimate: {min(ratios):.2f} to {max(ratios):.2f}, margin {MARGIN['cpu']}")


def _measure(case: Case, base: BaseShape, model: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        peak, rate = _trained(_spec(case, Path(folder), model), case.dtype, Path(folder))
    estimate = memory_bytes(base, case.load())
    flops = rate * flops_a_token(base, case.lora, case.length) / _THREADS / 1e9
    kind = "dpo" if case.pairs else case.lora.quantization.replace("none", "lora")
    kind += "+dropout" if case.lora.dropout else ""
    print(
        f"{case.length:6} {case.batch_size:5} {case.lora.rank:4} {kind:9} {case.dtype:8} | "
        f"{peak / _MEBIBYTE:8.0f} {estimate / _MEBIBYTE:8.0f} {peak / estimate:5.2f} | "
        f"{rate:8.0f} {flops:8.1f}",
        flush=True,
    )
    return peak / estimate


def _spec(case: Case, folder: Path, model: str) -> TrainingSpec:
    file = folder / "rows.jsonl"
    rows = [_row(case, number) for number in range(_STEPS * case.batch_size)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return TrainingSpec(
        job_id="benchmark",
        base_model_path=model,
        training_file=str(file),
        output_dir=str(folder / "output"),
        n_epochs=1,
        batch_size=case.batch_size,
        learning_rate_multiplier=1.0,
        seed=1,
        lora=case.lora,
        max_length=case.length,
        threads=_THREADS,
        format="preference" if case.pairs else "text",
        beta=0.1 if case.pairs else None,
    )


def _row(case: Case, number: int) -> dict[str, Any]:
    """Of ``length`` tokens: a word is one, and what is too much of a pair is cut."""
    words = random.Random(number)  # noqa: S311 (words, no secret)
    if not case.pairs:
        return {"text": " ".join(words.choices(_WORDS, k=case.length - 4))}
    answers = (" ".join(words.choices(_WORDS, k=case.length)) for _ in range(2))
    said = [[{"role": "assistant", "content": answer}] for answer in answers]
    prompt = [{"role": "user", "content": f"Say {number}"}]
    return {
        "input": {"messages": prompt},
        "preferred_output": said[0],
        "non_preferred_output": said[1],
    }


def _trained(spec: TrainingSpec, dtype: str, folder: Path) -> tuple[int, float]:
    """Peak memory in bytes and tokens a second of a training in a child process."""
    (folder / "spec.json").write_text(spec.model_dump_json())
    command = [sys.executable, __file__, "--train", str(folder), dtype]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(_THREADS)}
    with (folder / "log").open("wb") as log:
        streams = [(os.POSIX_SPAWN_DUP2, log.fileno(), 2)]
        child = os.posix_spawn(sys.executable, command, environment, file_actions=streams)
    _, status, usage = os.wait4(child, 0)
    if status:
        sys.exit((folder / "log").read_text()[-2000:])
    return usage.ru_maxrss * 1024, float((folder / "rate").read_text())


def _train(folder: Path, dtype: str) -> None:
    """In the child: run the job, and leave its speed behind."""
    import torch  # noqa: PLC0415 (the parent has no use for it)

    from tunery_adapters.training import job  # noqa: PLC0415
    from tunery_adapters.training.loop import Clock  # noqa: PLC0415
    from tunery_adapters.training.model import Precision  # noqa: PLC0415

    def report(said: AnyReport) -> None:
        if isinstance(said, Step):
            (folder / "rate").write_text(str(said.tokens_per_s))

    spec = TrainingSpec.model_validate_json((folder / "spec.json").read_bytes())
    precision = Precision(torch.device("cpu"), getattr(torch, dtype))
    job.run(spec, report, Event(), Clock(), precision)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--train", folder, dtype]:
            _train(Path(folder), dtype)
        case [model]:
            main(model)
        case _:
            sys.exit(__doc__)

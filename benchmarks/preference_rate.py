"""How fast preferences may be learnt: what becomes of held-out pairs at several learning rates.

``python benchmarks/preference_rate.py MODEL_FOLDER [FACTOR...]``: each factor is a share of the
rate of supervised training. The pairs prefer a short answer to a wordy one. The last column is
the loss per token of the preferred answers: it rises where the model unlearns to write at all.
"""

import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from threading import Event
from typing import Any

from tunery_adapters.reports import AnyReport, Evaluation, Finished
from tunery_adapters.spec import TrainingSpec
from tunery_adapters.training import job
from tunery_adapters.training.loop import Clock
from tunery_adapters.training.optimizer import PREFERENCE_FACTOR

CAPITALS = """
Albania Tirana, Austria Vienna, Belgium Brussels, Bulgaria Sofia, Chile Santiago, Croatia Zagreb,
Cuba Havana, Denmark Copenhagen, Egypt Cairo, Estonia Tallinn, Finland Helsinki, Georgia Tbilisi,
Ghana Accra, Greece Athens, Hungary Budapest, Iceland Reykjavik, Indonesia Jakarta, Iran Tehran,
Iraq Baghdad, Ireland Dublin, Italy Rome, Jamaica Kingston, Japan Tokyo, Jordan Amman,
Kenya Nairobi, Latvia Riga, Lebanon Beirut, Malta Valletta, Morocco Rabat, Nepal Kathmandu,
Norway Oslo, Peru Lima, Poland Warsaw, Portugal Lisbon, Qatar Doha, Spain Madrid
"""
FACTORS = (0.01, 0.03, 0.1, 0.3, 1.0)


def pairs() -> list[dict[str, Any]]:
    """A question about each country, with its two answers."""
    made = []
    for entry in CAPITALS.split(","):
        country, city = entry.split()
        short = f"{city}."
        wordy = f"That is a good question! The capital is {city}."
        question = {"role": "user", "content": f"What is the capital of {country}?"}
        made.append(
            {
                "input": {"messages": [question]},
                "preferred_output": [{"role": "assistant", "content": short}],
                "non_preferred_output": [{"role": "assistant", "content": wordy}],
            }
        )
    return made


def write(file: Path, rows: Iterable[dict[str, Any]]) -> str:
    """Write JSON lines; returns where."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def run(spec: TrainingSpec) -> tuple[Evaluation, str]:
    """The last evaluation of a job, and the folder of its adapter."""
    said: list[AnyReport] = []
    job.run(spec, said.append, Event(), Clock())
    finished = said[-1]
    if not isinstance(finished, Finished):
        raise TypeError("the job did not finish")
    return [r for r in said if isinstance(r, Evaluation)][-1], finished.adapter_path


def measure(model: str, factor: float, folder: Path) -> tuple[Evaluation, float]:
    """Held-out pairs at the end of a job, and the loss of their preferred answers."""
    rows = pairs()
    held_out = rows[::3]
    wish: dict[str, Any] = {"job_id": "ftjob-rate", "base_model_path": model, "seed": 1}
    wish |= {"max_length": 256, "threads": 2}
    preferences = TrainingSpec(
        **wish,
        training_file=write(folder / "pairs.jsonl", [row for row in rows if row not in held_out]),
        validation_file=write(folder / "held-out.jsonl", held_out),
        output_dir=str(folder / "preferences"),
        format="preference",
        beta=0.1,
        n_epochs=3,
        batch_size=4,
        learning_rate_multiplier=factor / PREFERENCE_FACTOR,
    )
    found, adapter = run(preferences)
    chats = [{"messages": [*r["input"]["messages"], *r["preferred_output"]]} for r in held_out]
    file = write(folder / "chats.jsonl", chats)
    look = TrainingSpec(
        **wish,
        training_file=file,
        validation_file=file,
        output_dir=str(folder / "look"),
        initial_adapter=adapter,
        n_epochs=1,
        batch_size=len(chats),
        learning_rate_multiplier=1e-9,
    )
    return found, run(look)[0].valid_loss


def main(model: str, *factors: str) -> None:
    """Print a row for each factor."""
    sys.stdout.write("factor  loss of pairs  ranked right  margin  loss of preferred answers\n")
    for factor in map(float, factors or FACTORS):
        with tempfile.TemporaryDirectory() as folder:
            found, answers = measure(model, factor, Path(folder))
        sys.stdout.write(
            f"{factor:6} {found.valid_loss:14.4f} {found.valid_accuracy:13.0%} "
            f"{found.valid_reward_margin:7.2f} {answers:26.3f}\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A fine-tune to measure trainers with: rows of words, and the job that learns from them."""

import json
import random
from collections.abc import Iterator
from math import log
from pathlib import Path
from typing import Any

from tunery_adapters.spec import TrainingSpec
from tunery_server.config import BUNDLED_MODEL, default_home

_MEDIAN, _SIGMA = 120, 0.8
"""Of the log-normal distribution of lengths, in tokens."""
_SHORTEST, _LONGEST = 8, 512
_PROMPT = 0.6
"""Share of a row that is not under the loss."""
_WORDS = (
    *("apple", "bird", "black", "blue", "book", "bread", "city", "cold", "dark", "door", "earth"),
    *("field", "fire", "fish", "garden", "gold", "grass", "green", "horse", "house", "iron"),
    *("lake", "light", "milk", "moon", "night", "paper", "rain", "red", "river", "road", "salt"),
    *("sea", "ship", "snow", "star", "stone", "sun", "table", "tree", "water", "white", "wind"),
)
"""Each is one token behind a space."""


def write_job(folder: Path, *, rows: int, batch_size: int = 8, length: int | None = None) -> Path:
    """A training of one epoch on the bundled model, one thread, as ``folder/spec.json``.

    Its rows have ``length`` tokens each, or of a log-normal distribution.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in words(rows, length)))
    spec = TrainingSpec(
        job_id="benchmark",
        base_model_path=str(default_home() / "models" / BUNDLED_MODEL),
        training_file=str(file),
        output_dir=str(folder / "output"),
        n_epochs=1,
        batch_size=batch_size,
        learning_rate_multiplier=1.0,
        seed=1,
        max_length=_LONGEST,
        threads=1,
        format="completion",
    )
    (folder / "spec.json").write_text(spec.model_dump_json())
    return folder


def words(rows: int, length: int | None = None) -> Iterator[dict[str, Any]]:
    """Rows of a prompt and its completion, random, and so without a common beginning."""
    draws = random.Random(0)  # noqa: S311 - words are no secret
    for _ in range(rows):
        drawn = round(draws.lognormvariate(log(_MEDIAN), _SIGMA))
        tokens = length or min(_LONGEST, max(_SHORTEST, drawn))
        said = draws.choices(_WORDS, k=tokens - 1)  # the end of the sequence is a token, too
        prompt = round(_PROMPT * tokens)
        yield {"prompt": " ".join(said[:prompt]), "completion": " " + " ".join(said[prompt:])}

"""The result file of a job: one line a step, as OpenAI's ``step_metrics.csv``."""

import csv
import io
from collections.abc import Iterable
from typing import Any

COLUMNS = ("step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")

PREFERENCE_COLUMNS = ("train_reward_margin", "valid_accuracy", "valid_reward_margin")
"""Written where there is something in them: for a job on preference pairs."""

_FROM_EVENTS = {
    "train_loss": "train_loss",
    "train_mean_token_accuracy": "train_accuracy",
    "train_accuracy": "train_accuracy",
    "valid_loss": "valid_loss",
    "valid_mean_token_accuracy": "valid_mean_token_accuracy",
    **{column: column for column in PREFERENCE_COLUMNS},
}


def results_csv(metrics: Iterable[dict[str, Any]]) -> bytes:
    """Metric events, oldest first, as CSV; a step that was done twice counts as it was last."""
    rows: dict[int, dict[str, Any]] = {}
    for data in metrics:
        row = rows.setdefault(data["step"], {"step": data["step"]})
        row |= {column: data[name] for name, column in _FROM_EVENTS.items() if name in data}
    text = io.StringIO()
    more = [column for column in PREFERENCE_COLUMNS if any(column in row for row in rows.values())]
    writer = csv.DictWriter(text, [*COLUMNS, *more], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows[step] for step in sorted(rows))
    return text.getvalue().encode()

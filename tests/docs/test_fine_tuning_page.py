"""The rows that docs/fine-tuning.md shows are rows that the server takes, each of its format."""

import json
import re
from pathlib import Path

from tunery_server.files.dataset import read_dataset
from tunery_server.files.row_formats import ROWS

PAGE = Path(__file__).parents[2] / "docs" / "fine-tuning.md"


def test_every_format_has_an_example_that_is_taken(tmp_path: Path) -> None:
    shown = dict(re.findall(r"^\| `(\w+)` \| `(\{.*?\})` \|", PAGE.read_text(), re.MULTILINE))
    assert shown.keys() == ROWS.keys()
    for name, row in shown.items():
        file = tmp_path / f"{name}.jsonl"
        file.write_text(json.dumps(json.loads(row)) + "\n")
        found = read_dataset(file)
        assert (found.format, found.examples) == (name, 1)

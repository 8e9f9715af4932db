"""Turn the hand-written tickets into the JSONL files that are uploaded.

Run ``python examples/ticket_routing/build.py`` after a change in ``tickets/``.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
SPLITS = ("train", "valid", "heldout")
SYSTEM_PROMPT = "Route this support ticket. Answer in JSON with queue and priority."
SEED = 7
"""Order of the rows: fixed, and mixed, so that a batch holds several labels."""


class Ticket(NamedTuple):
    """One ticket and the label that a person gave it."""

    queue: str
    priority: str
    text: str


def tickets(split: str) -> Iterator[Ticket]:
    """Yield the tickets of a split: one a line under ``[queue priority]``."""
    queue = priority = ""
    for line in (HERE / "tickets" / f"{split}.txt").read_text().splitlines():
        if line.startswith("["):
            queue, priority = line.strip("[]").split()
        elif line:
            yield Ticket(queue, priority, line)


def row(ticket: Ticket) -> dict[str, object]:
    """Return a ticket as one training example in the chat format."""
    answer = json.dumps({"queue": ticket.queue, "priority": ticket.priority})
    return {
        "messages": [
            {"role": "system", "content": SYSTEM_PROMPT},
            {"role": "user", "content": ticket.text},
            {"role": "assistant", "content": answer},
        ]
    }


def jsonl(split: str) -> str:
    """Return a split's file, one example a line, in a fixed mixed order."""
    rows = [row(ticket) for ticket in tickets(split)]
    random.Random(SEED).shuffle(rows)  # noqa: S311  an order, not a secret
    return "".join(json.dumps(example, ensure_ascii=False) + "\n" for example in rows)


def main() -> None:
    """Write the three files."""
    for split in SPLITS:
        (HERE / f"{split}.jsonl").write_text(jsonl(split))


if __name__ == "__main__":
    main()

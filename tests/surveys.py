"""What a training file turns into, with every count filled."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from tunery_adapters.survey import AnyLine, Bin, Lengths, Survey, SurveySpec

LENGTHS = Lengths(min=5, mean=9.5, median=9.0, p95=14, max=20, histogram=(Bin(up_to=20, rows=20),))


def a_survey(**values: Any) -> Survey:
    counts: dict[str, Any] = {
        "rows": 20,
        "rows_read": 20,
        "examples": 20,
        "tokens": 190,
        "trained_tokens": 60,
        "longest_sequence": 20,
        "truncated_rows": 0,
        "truncated_tokens": 0,
        "dropped_examples": 0,
        "truncated": (),
        "lengths": LENGTHS,
    }
    return Survey(**{**counts, **values})


@dataclass
class Surveyor:
    """Answers at once, with a fault, or never; and remembers what it was asked."""

    lines: tuple[AnyLine, ...] = field(default_factory=lambda: (a_survey(),))
    asked: list[SurveySpec] = field(default_factory=list)
    answers: bool = True
    fault: Exception | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, spec: SurveySpec) -> tuple[AnyLine, ...]:
        self.asked.append(spec)
        self.begun.set()
        if self.fault is not None:
            raise self.fault
        try:
            if not self.answers:
                await asyncio.Event().wait()
        finally:
            self.ended.set()
        return self.lines

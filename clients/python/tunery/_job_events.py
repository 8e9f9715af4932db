"""The events of a job, and how they are read off a stream."""

import json
from typing import Any

from openai import BaseModel
from openai.types.fine_tuning import FineTuningJobEvent

from ._errors import StreamInterrupted


class JobMetrics(BaseModel):
    """What was measured at one step: of training, or over the validation file. Losses in nats.

    Of preferences there is the share of pairs that are ranked right, and the margin of their
    rewards; of other data the share of tokens that the model puts first.
    """

    step: int
    total_steps: int | None = None
    epoch: float | None = None
    train_loss: float | None = None
    train_mean_token_accuracy: float | None = None
    train_accuracy: float | None = None
    train_reward_margin: float | None = None
    valid_loss: float | None = None
    valid_mean_token_accuracy: float | None = None
    valid_accuracy: float | None = None
    valid_reward_margin: float | None = None
    learning_rate: float | None = None
    tokens: int | None = None
    tokens_per_s: float | None = None
    seconds_left: float | None = None
    """Of the steps that are left."""


class JobEvent(FineTuningJobEvent):
    """One line of a job's history."""

    @property
    def metrics(self) -> JobMetrics | None:
        """The numbers of an event that has some."""
        if self.type != "metrics" or not isinstance(self.data, dict):
            return None
        return JobMetrics.construct(**self.data)


class EventReader:
    """Turns the bytes of one stream, in pieces as they come, into events."""

    def __init__(self) -> None:
        self.ended = False
        """Whether the server said that there is nothing more."""
        self._rest = b""

    def read(self, piece: bytes) -> tuple[JobEvent, ...]:
        """The events that this piece completes; none for a mere sign of life.

        Raises:
            StreamInterrupted: the server says that it ends the stream early.
        """
        *whole, self._rest = (self._rest + piece).split(b"\n\n")
        found = (self._event(event) for event in whole)
        return tuple(event for event in found if event is not None)

    def _event(self, lines: bytes) -> JobEvent | None:
        data = b"".join(
            line.removeprefix(b"data:").strip()
            for line in lines.split(b"\n")
            if line.startswith(b"data:")
        )
        if data == b"[DONE]":
            self.ended = True
        if self.ended or not data:
            return None
        event: dict[str, Any] = json.loads(data)
        if "error" in event:
            raise StreamInterrupted(f"the stream of events ended: {event['error']['message']}")
        return JobEvent.construct(**event)

"""What becomes of a line: a line of the output file, or one of the error file."""

from dataclasses import dataclass
from typing import Any

import orjson

from tunery_server.ids import new_id

_GOOD = 400


@dataclass(frozen=True, slots=True)
class LineAnswer:
    """What an interactive client would have got: an HTTP status and a JSON body."""

    status: int
    body: Any


@dataclass(frozen=True, slots=True)
class Result:
    """One line as it is written."""

    custom_id: str
    good: bool
    text: bytes
    usage: dict[str, int]


@dataclass(slots=True)
class Tally:
    """How far a batch is. ``usage`` sums tokens over all lines."""

    completed: int = 0
    failed: int = 0
    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0

    def add(self, good: bool, usage: dict[str, int]) -> None:
        """Count one line."""
        self.completed += good
        self.failed += not good
        for name, tokens in usage.items():
            setattr(self, name, getattr(self, name) + tokens)

    def values(self) -> dict[str, Any]:
        """As the record has it."""
        names = ("input", "cached", "output", "reasoning")
        usage = {name: getattr(self, name) for name in names}
        return {"completed": self.completed, "failed": self.failed, "usage": usage}


def answered(custom_id: str, request_id: str, answer: LineAnswer) -> Result:
    """A line that the engine, or we, answered."""
    response = {"status_code": answer.status, "request_id": request_id, "body": answer.body}
    good = answer.status < _GOOD
    return Result(custom_id, good, _text(custom_id, response=response), usage_of(answer.body))


def expired(custom_id: str) -> Result:
    """A line that was not run in time."""
    error = {
        "code": "batch_expired",
        "message": "This request was not run before the batch expired.",
    }
    return Result(custom_id, False, _text(custom_id, error=error), {})


def read(text: bytes) -> Result:
    """A line that was written before."""
    row = orjson.loads(text)
    response = row["response"]
    good = response is not None and response["status_code"] < _GOOD
    usage = usage_of(response["body"]) if good else {}
    return Result(row["custom_id"], good, text, usage)


def usage_of(body: Any) -> dict[str, int]:
    """Token counts of an answer, in the words of any of the endpoints; empty without them."""
    usage = body.get("usage") if isinstance(body, dict) else None
    if not isinstance(usage, dict):
        return {}
    sent = "input" if "input_tokens" in usage else "prompt"
    made = "output" if "output_tokens" in usage else "completion"
    return {
        "input": usage.get(f"{sent}_tokens") or 0,
        "cached": (usage.get(f"{sent}_tokens_details") or {}).get("cached_tokens") or 0,
        "output": usage.get(f"{made}_tokens") or 0,
        "reasoning": (usage.get(f"{made}_tokens_details") or {}).get("reasoning_tokens") or 0,
    }


def _text(custom_id: str, *, response: Any = None, error: Any = None) -> bytes:
    row = {
        "id": new_id("batch_req_"),
        "custom_id": custom_id,
        "response": response,
        "error": error,
    }
    return orjson.dumps(row) + b"\n"

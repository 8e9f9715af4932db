"""Token counts out of an answer that is otherwise passed on untouched."""

import re
from dataclasses import dataclass
from typing import Any

import orjson

from tunery_server.errors import EngineUnavailable

_DATA, _END = b"data: ", b"\n\n"
_MARK = b'"usage":{'
_ERROR = b'data: {"error"'

_COUNTED = re.compile(
    rb'("choices":\[\{"index":(\d+),.*),"usage":\{"prompt_tokens":(\d+),"total_tokens":\d+,'
    rb'"completion_tokens":(\d+)\}'
)
"""Part of an event of a stream as vLLM writes it; any other event is parsed. A quote within a JSON
string has a backslash before it, so no text of an answer looks like this."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request, as the engine counted them."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    """Of the prompt's, those that the engine had worked out before."""


def usage_of(answer: bytes) -> Usage | None:
    """The usage in one JSON answer; None when it holds none."""
    try:
        return _usage_in(orjson.loads(answer))
    except orjson.JSONDecodeError:
        return None


def _usage_in(answer: Any) -> Usage | None:
    try:
        usage = dict(answer["usage"])
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        return Usage(usage["prompt_tokens"], usage.get("completion_tokens") or 0, cached)
    except (KeyError, TypeError):
        return None


class StreamCut(Exception):
    """The engine's stream ended before its closing event."""


class StreamUsage:
    """Reads a stream of server-sent events as it goes by, and drops the counts from it.

    The engine is always asked to count in every event, so that a stream that is broken off is
    known for what it took, and once more in the last event before ``[DONE]``, which has no choices
    in it. ``passed`` says whether the client asked for that event, too, and ``running`` whether
    the counts of the other events are wanted.
    """

    def __init__(self, *, passed: bool, running: bool = False) -> None:
        self._passed = passed
        self._running = running
        self._rest = b""
        self._total: Usage | None = None
        self._so_far: dict[int, tuple[int, int]] = {}
        """Prompt and completion tokens of each choice."""
        self.done = False

    @property
    def usage(self) -> Usage | None:
        """What the whole answer took, or as much of it as came; None before the first count."""
        if self._total is not None or not self._so_far:
            return self._total
        return Usage(max(prompt for prompt, _ in self._so_far.values()), self.completion_tokens)

    @property
    def completion_tokens(self) -> int:
        """Of the answer so far."""
        if self._total is not None:
            return self._total.completion_tokens
        return sum([completion for _, completion in self._so_far.values()])

    def feed(self, chunk: bytes) -> bytes:
        """Bytes for the client: whole events, less what it did not ask for.

        Raises EngineUnavailable for an error event of the engine's own, whose words are not ours.
        """
        data = self._rest + chunk
        whole, separator, self._rest = data.rpartition(_END)
        whole += separator
        if whole.endswith(_DATA + b"[DONE]" + _END):
            self.done = True
        if whole.startswith(_ERROR) or _END + _ERROR in whole:
            raise EngineUnavailable("The engine could not finish the answer.", code="engine_error")
        if not self._running:
            whole = _COUNTED.sub(self._counted, whole)
        if _MARK not in whole:
            return whole
        return b"".join(self._event(event) for event in whole.split(_END) if event)

    def _counted(self, event: re.Match[bytes]) -> bytes:
        """Note the count of an event, and leave it out."""
        left, index, prompt, completion = event.groups()
        self._so_far[int(index)] = (int(prompt), int(completion))
        return left

    def _event(self, event: bytes) -> bytes:
        if _MARK not in event:
            return event + _END
        chunk = orjson.loads(event.removeprefix(_DATA))
        usage = _usage_in(chunk)
        if usage is None:
            return event + _END
        if not chunk["choices"]:
            self._total = usage
            return event + _END if self._passed else b""
        tokens = (usage.prompt_tokens, usage.completion_tokens)
        self._so_far[chunk["choices"][0]["index"]] = tokens
        if self._running:
            return event + _END
        del chunk["usage"]
        return _DATA + orjson.dumps(chunk) + _END

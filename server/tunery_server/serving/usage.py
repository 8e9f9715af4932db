"""Token counts out of an answer that is otherwise passed on untouched."""

from dataclasses import dataclass

import orjson

from tunery_server.errors import EngineUnavailable

_MARK = b'"usage":{'
_ERROR = b'data: {"error"'


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request, as the engine counted them."""

    prompt_tokens: int
    completion_tokens: int


def usage_of(answer: bytes) -> Usage | None:
    """The usage in one JSON answer or stream chunk; None when it holds none."""
    try:
        usage = orjson.loads(answer)["usage"]
        return Usage(usage["prompt_tokens"], usage.get("completion_tokens") or 0)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None


class StreamCut(Exception):
    """The engine's stream ended before its closing event."""


class StreamUsage:
    """Reads a stream of server-sent events as it goes by, and drops the event that only counts.

    The engine is always asked for its counts, which come in the last event before ``[DONE]`` with
    no choices in it. ``passed`` says whether the client asked for that event, too. Only an event
    that holds the word is parsed.
    """

    def __init__(self, *, passed: bool) -> None:
        self._passed = passed
        self._rest = b""
        self.usage: Usage | None = None
        self.done = False

    def feed(self, chunk: bytes) -> bytes:
        """Bytes for the client: whole events, less what it did not ask for.

        Raises EngineUnavailable for an error event of the engine's own, whose words are not ours.
        """
        data = self._rest + chunk
        whole, separator, self._rest = data.rpartition(b"\n\n")
        whole += separator
        if whole.endswith(b"data: [DONE]\n\n"):
            self.done = True
        if whole.startswith(_ERROR) or b"\n\n" + _ERROR in whole:
            raise EngineUnavailable("The engine could not finish the answer.", code="engine_error")
        if _MARK not in whole:
            return whole
        return b"".join(self._event(event) for event in whole.split(b"\n\n") if event)

    def _event(self, event: bytes) -> bytes:
        if _MARK in event and (usage := usage_of(event.removeprefix(b"data: "))) is not None:
            self.usage = usage
            if not self._passed:
                return b""
        return event + b"\n\n"

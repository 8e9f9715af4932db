"""An engine that can be told to fail."""

import asyncio
import enum
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from tunery_server.engine.contract import EngineStatus, Reply
from tunery_server.errors import EngineRefused, EngineUnavailable

SPECIAL_TOKENS = frozenset({"<|im_start|>", "<|im_end|>"})


class Fault(enum.Enum):
    """What goes wrong with every request from now on."""

    NONE = enum.auto()
    REFUSES = enum.auto()
    """Answers with an error of its own, ``refusal``."""
    AWAY = enum.auto()
    """Does not answer at all."""
    SILENT = enum.auto()
    """Ends the connection before the first byte."""
    CUT = enum.auto()
    """Ends the connection after the first events, as if all were well."""
    DIES = enum.auto()
    """Breaks off after the first events."""
    BREAKS = enum.auto()
    """Raises what nobody expects after the first events."""
    SLOW = enum.auto()
    """Waits for ``go`` before the first byte."""
    STALLS = enum.auto()
    """Waits for ``go`` after the first events."""
    FLOODS = enum.auto()
    """Repeats its first event as fast as it is taken, and counts the bytes in ``flooded``."""


class ScriptedEngine:
    """Implements :class:`Engine` in this process, in vLLM's words, to inject faults."""

    def __init__(self) -> None:
        self.boot_id = "boot-1"
        self.adapters: set[str] = set()
        self.loads: list[tuple[str, Path]] = []
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.fault = Fault.NONE
        self.load_error: Exception | None = None
        self.unload_error: Exception | None = None
        self.refusal: Exception = EngineRefused("no such thing", status=400)
        self.go = asyncio.Event()
        self.running = 0
        self.idle = asyncio.Event()
        self.begun = asyncio.Event()
        self.asked = asyncio.Event()
        self.flooded = 0
        self.tokens = 2
        """Of the answer to a request for a stream."""
        self.after = 1
        """How many events come before a fault that comes amid them."""
        self.pace_s = 0.0
        """How long each event takes."""
        self.chunk_bytes: int | None = None
        """Cut the answer into pieces of this size; by default one piece an event."""

    def restart(self) -> None:
        """Come back as a new process, which knows no adapter."""
        self.boot_id = f"{self.boot_id}+"
        self.adapters.clear()

    async def status(self) -> EngineStatus:
        self.asked.set()
        self._must_answer()
        return EngineStatus(self.boot_id, frozenset(self.adapters), SPECIAL_TOKENS)

    async def load(self, name: str, path: Path) -> None:
        self.loads.append((name, path))
        self.begun.set()
        if self.fault is Fault.SLOW:
            await self.go.wait()
        self._must_answer()
        if self.load_error is not None:
            raise self.load_error
        self.adapters.add(name)

    async def unload(self, name: str) -> None:
        self._must_answer()
        if self.unload_error is not None:
            raise self.unload_error
        self.adapters.discard(name)

    def forward(self, path: str, body: bytes) -> AbstractAsyncContextManager[Reply]:
        return self._forward(path, orjson.loads(body))

    async def metrics(self) -> bytes:
        self._must_agree()
        return b"vllm:scripted 1\n"

    @asynccontextmanager
    async def _forward(self, path: str, body: dict[str, Any]) -> AsyncIterator[Reply]:
        self.requests.append((path, body))
        self._must_agree()
        self.running += 1
        self.idle.clear()
        try:
            yield _Scripted(self, answer(path, body, tokens=self.tokens))
        finally:
            self.running -= 1
            if not self.running:
                self.idle.set()

    def _must_agree(self) -> None:
        self._must_answer()
        if self.fault is Fault.REFUSES:
            raise self.refusal

    def _must_answer(self) -> None:
        if self.fault is Fault.AWAY:
            raise EngineUnavailable("The engine does not answer. Try again shortly.")


class _Scripted:
    def __init__(self, engine: ScriptedEngine, events: list[bytes]) -> None:
        self._engine = engine
        self._events = events

    async def chunks(self) -> AsyncIterator[bytes]:
        engine = self._engine
        engine.begun.set()
        if engine.fault is Fault.SILENT:
            return
        if engine.fault is Fault.SLOW:
            await engine.go.wait()
        while engine.fault is Fault.FLOODS:
            engine.flooded += len(self._events[0])
            yield self._events[0]
            await asyncio.sleep(0)
        for number, event in enumerate(self._events):
            if engine.pace_s:
                await asyncio.sleep(engine.pace_s)
            if number == engine.after:
                if engine.fault is Fault.CUT:
                    return
                if engine.fault is Fault.DIES:
                    raise EngineUnavailable("The engine went away during the answer.")
                if engine.fault is Fault.BREAKS:
                    raise RuntimeError("a secret")
                if engine.fault is Fault.STALLS:
                    await engine.go.wait()
            size = engine.chunk_bytes or len(event)
            for start in range(0, len(event), size):
                yield event[start : start + size]


USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def usage_at(token: int) -> dict[str, int]:
    """Of a stream up to a token."""
    return {"prompt_tokens": 5, "completion_tokens": token, "total_tokens": 5 + token}


def answer(path: str, body: dict[str, Any], *, tokens: int = 2) -> list[bytes]:
    """vLLM's answer to ``body``: one JSON object in two pieces, or the events of a stream."""
    if path == "/tokenize":
        return [orjson.dumps({"count": 5, "max_model_len": 2048, "tokens": [1, 2, 3, 4, 5]})]
    chat = path.endswith("/chat/completions")
    if not body.get("stream"):
        choices = [_chat_choice("message", "Hi!", "stop") if chat else _choice("Hi!", "stop")]
        if body.get("tool_choice") == "required":
            choices = [_called(body["tools"][0]["function"]["name"])]
        whole = orjson.dumps(_completion(chat, body["model"], choices, usage=USAGE))
        return [whole[:20], whole[20:]]
    make = (lambda text, end: _chat_choice("delta", text, end)) if chat else _choice
    options = body.get("stream_options") or {}
    counted = options.get("continuous_usage_stats")
    said: list[tuple[str, str | None]] = [
        ("Hi", None),
        *[("!", None)] * (tokens - 2),
        ("!", "stop"),
    ]
    chunks = [
        _completion(
            chat,
            body["model"],
            [make(text, end)],
            chunk=True,
            **({"usage": usage_at(number)} if counted else {}),
        )
        for number, (text, end) in enumerate(said, start=1)
    ]
    if options.get("include_usage"):
        chunks.append(_completion(chat, body["model"], [], chunk=True, usage=usage_at(tokens)))
    return [*(b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks), b"data: [DONE]\n\n"]


def _completion(
    chat: bool, model: str, choices: list[dict[str, Any]], *, chunk: bool = False, **more: Any
) -> dict[str, Any]:
    kind = ("chat.completion.chunk" if chunk else "chat.completion") if chat else "text_completion"
    return {"id": "c-1", "object": kind, "created": 1, "model": model, "choices": choices, **more}


def _chat_choice(part: str, text: str, end: str | None) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {"index": 0, part: message, "logprobs": None, "finish_reason": end}


def _called(name: str) -> dict[str, Any]:
    call = {"id": "call-1", "type": "function", "function": {"name": name, "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls"}


def _choice(text: str, end: str | None) -> dict[str, Any]:
    return {"index": 0, "text": text, "logprobs": None, "finish_reason": end}

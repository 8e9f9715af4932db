"""The loss of a model on rows that it was not trained on, measured by the engine that serves it."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import orjson

from tunery_server.errors import InvalidRequest, NotFound
from tunery_server.files.jsonl import read_lines
from tunery_server.records.rows import File
from tunery_server.serving.caller import Caller
from tunery_server.serving.relay import InferenceRequest, Relay

Conversation = list[dict[str, Any]]
"""Messages, the last one of the assistant's."""


class Files(Protocol):
    """Stored files, as far as a measurement needs them."""

    def get(self, tenant_id: str, file_id: str) -> File:
        """The file. Raises NotFound."""


class HeldOut:
    """Measures in the background: whoever waits for an answer goes first."""

    def __init__(self, *, relay: Relay, files: Files, path: Callable[[str], Path]) -> None:
        self._relay = relay
        self._files = files
        self._path = path

    def rows(self, tenant_id: str, file_id: str, limit: int) -> tuple[Conversation, ...]:
        """The first conversations of a file. Blocking. Raises NotFound and InvalidRequest."""
        if self._files.get(tenant_id, file_id).format != "chat":
            raise InvalidRequest("gate.file_id: not a file of chats.", param="gate.file_id")
        lines = itertools.islice(read_lines(self._path(file_id)), limit)
        rows = (orjson.loads(line)["messages"] for line in lines)
        try:
            found = tuple(row for row in rows if row[-1]["role"] == "assistant")
        except FileNotFoundError:  # deleted between the look and the opening
            raise NotFound(f"No file with id {file_id!r}.", param="gate.file_id") from None
        if not found:
            raise InvalidRequest("gate.file_id: no row ends with an answer.", param="gate.file_id")
        return found

    async def loss(self, tenant_id: str, model: str, rows: Sequence[Conversation]) -> float:
        """Mean negative log-likelihood (nats) of the last answers' tokens. Raises NotFound."""
        total, count = 0.0, 0
        for messages in rows:
            scores = await self._answer_logprobs(tenant_id, model, messages)
            total -= sum(scores)
            count += len(scores)
        return total / max(1, count)

    async def _answer_logprobs(
        self, tenant_id: str, model: str, messages: Conversation
    ) -> list[float]:
        """One for each token of the last message, its closing token included."""
        whole = await self._tokens(tenant_id, model, messages, opened=False)
        prompt = await self._tokens(tenant_id, model, messages[:-1], opened=True)
        body = {"prompt": whole, "max_tokens": 1, "temperature": 0, "prompt_logprobs": 0}
        answer = await self._ask(tenant_id, model, "/v1/completions", body)
        scored = answer["choices"][0]["prompt_logprobs"]
        pairs = zip(whole[len(prompt) :], scored[len(prompt) :], strict=True)
        return [float(scores[str(token)]["logprob"]) for token, scores in pairs]

    async def _tokens(
        self, tenant_id: str, model: str, messages: Conversation, *, opened: bool
    ) -> list[int]:
        body = {"messages": messages, "add_generation_prompt": opened}
        tokens: list[int] = (await self._ask(tenant_id, model, "/tokenize", body))["tokens"]
        return tokens

    async def _ask(self, tenant_id: str, model: str, path: str, body: dict[str, Any]) -> Any:
        request = InferenceRequest(
            path=path, model=model, body=body, stream=False, include_usage=False, background=True
        )
        return orjson.loads(await self._relay.complete(Caller(tenant_id), request))

"""What the ledger holds is what the real engine counted. A few seconds."""

import re
import time
from itertools import islice

import pytest
from openai import OpenAI, Stream
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from tests.servers import MODEL_NAME, RunningServer

pytestmark = pytest.mark.engine

LONG = 1500
"""Tokens that take over a minute: a busy machine sends hundreds of them in one chunk."""

QUESTION: list[ChatCompletionMessageParam] = [
    {"role": "user", "content": "Tell me a very long story about a fox and a river. " * 8}
]


@pytest.fixture
def client(server: RunningServer) -> OpenAI:
    """Of a tenant that no other test uses."""
    return server.client(key=server.new_key("counted"))


def told(server: RunningServer, client: OpenAI) -> dict[str, int]:
    """The tenant's sums of today."""
    with server.http() as http:
        answer = http.get("/v1/usage", headers={"Authorization": f"Bearer {client.api_key}"})
    rows = answer.json()["data"]
    names = ("requests", "input_tokens", "cached_tokens", "output_tokens")
    return {name: sum(row[name] for row in rows) for name in names}


def engine_tokens(server: RunningServer) -> tuple[int, int]:
    """Prompt and generated tokens, by the engine's own counters."""
    with server.http() as http:
        text = http.get("/metrics").text
    found = (
        re.findall(rf"^vllm:{name}_tokens_total\{{.*\}} ([0-9.e+]+)$", text, re.MULTILINE)
        for name in ("prompt", "generation")
    )
    prompt, generated = (sum(map(float, values)) for values in found)
    return int(prompt), int(generated)


def stream(client: OpenAI, *, max_tokens: int) -> Stream[ChatCompletionChunk]:
    return client.chat.completions.create(
        model=MODEL_NAME, messages=QUESTION, max_tokens=max_tokens, stream=True
    )


def test_the_sums_are_the_engines_own(server: RunningServer, client: OpenAI) -> None:
    before, begun = told(server, client), engine_tokens(server)
    for max_tokens in (1, 7, 30):
        client.chat.completions.create(
            model=MODEL_NAME, messages=QUESTION, max_tokens=max_tokens, n=2
        )
        list(stream(client, max_tokens=max_tokens))
        client.completions.create(model=MODEL_NAME, prompt="Once", max_tokens=max_tokens)
    after, ended = told(server, client), engine_tokens(server)
    assert after["requests"] - before["requests"] == 9
    assert after["output_tokens"] - before["output_tokens"] == ended[1] - begun[1]
    assert after["cached_tokens"] > before["cached_tokens"]
    assert after["input_tokens"] - before["input_tokens"] <= ended[0] - begun[0]


def test_a_broken_stream_counts_what_came(server: RunningServer, client: OpenAI) -> None:
    before, begun = told(server, client), engine_tokens(server)
    with stream(client, max_tokens=LONG) as answer:
        seen = len(list(islice(answer, 3)))
    deadline = time.monotonic() + 120
    while (after := told(server, client))["requests"] == before["requests"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    counted, ended = after["output_tokens"] - before["output_tokens"], engine_tokens(server)
    assert seen - 1 <= counted <= ended[1] - begun[1] < LONG, "the first chunk tells of the role"
    assert after["input_tokens"] > before["input_tokens"]

"""Two hundred clients that go away, from a gateway that is a process of its own; ten seconds."""

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from tests.engines import Fault
from tests.faults.stack import Stack
from tests.promises import TOOK_S
from tests.queues import until

ROUNDS_A_WAY = 67
WAYS = [(Fault.STALLS, True), (Fault.SLOW, True), (Fault.SLOW, False)]
"""After the first token, before it, and without a stream."""
TOKENS_PER_MINUTE = 10_000
PATIENCE_S = 30.0
Record = Callable[[str, object], None]


@contextlib.contextmanager
def asking(stack: Stack, key: str, *, stream: bool) -> Iterator[socket.socket]:
    """A client that has sent a request, and will not read to the end."""
    chat = {
        "model": stack.settings.base_model_name,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": stream,
        "max_tokens": TOKENS_PER_MINUTE // 2,
    }
    body = json.dumps(chat).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1",
        f"Host: 127.0.0.1:{stack.settings.port}",
        f"Authorization: Bearer {key}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    with socket.create_connection(("127.0.0.1", stack.settings.port)) as client:
        client.sendall("\r\n".join([*head, "", ""]).encode() + body)
        yield client


def leave(stack: Stack, key: str, *, stream: bool, after_a_token: bool) -> float:
    """Ask, go, and say how long the engine went on, in seconds."""
    with asking(stack, key, stream=stream) as client:
        if after_a_token:
            said = b""
            while b"data: " not in said:
                piece = client.recv(2**16)
                assert piece, said
                said += piece
        until(lambda: stack.engine_runs() == 1, within_s=PATIENCE_S)
    gone_at = time.monotonic()
    until(lambda: stack.engine_runs() == 0, within_s=PATIENCE_S)
    return time.monotonic() - gone_at


@pytest.mark.once
@pytest.mark.promise("P19", fault="200 clients go: after a token, before it, without a stream")
def test_each_frees_the_engine_and_gives_everything_back(
    serving: Stack, record_property: Record
) -> None:
    key = serving.new_key("hasty", concurrent_requests=1, tokens_per_minute=TOKENS_PER_MINUTE)
    times = []
    for fault, stream in WAYS:
        serving.order(fault)
        for _ in range(ROUNDS_A_WAY):
            after_a_token = fault is Fault.STALLS
            times.append(leave(serving, key, stream=stream, after_a_token=after_a_token))
    record_property(TOOK_S, max(times))
    assert len(times) > 200
    serving.order(Fault.NONE)
    with serving.http(key) as http:
        chat = {"model": serving.settings.base_model_name, "messages": [], "max_tokens": 1}
        chat["messages"] = [{"role": "user", "content": "hi"}]
        answer = http.post("/v1/chat/completions", json=chat)
    assert answer.status_code == 200
    assert int(answer.headers["x-ratelimit-remaining-tokens"]) > TOKENS_PER_MINUTE // 2

"""Streams that are cut on the way: at the engine, and at the gateway; about 10 seconds."""

from collections import Counter
from collections.abc import Callable

import openai
import pytest
from openai import OpenAI

from tests.engines import Fault
from tests.faults.stack import Stack
from tests.queues import until
from tunery import StreamInterrupted, Tunery

TOKENS, SENT = 20, 5
PROMPT_TOKENS = 5


def read(stack: Stack, client: OpenAI, on_token: Callable[[int], None] = lambda _: None) -> None:
    """All of a stream's tokens; ``on_token`` hears the number of each."""
    stream = client.chat.completions.create(
        model=stack.settings.base_model_name,
        messages=[{"role": "user", "content": "hi"}],
        stream=True,
    )
    for number, _ in enumerate(stream, start=1):
        on_token(number)


def used(stack: Stack) -> Counter[str]:
    """The tokens that the tenant was charged for."""
    with stack.http() as http:
        rows = http.get("/v1/usage").json()["data"]
    return Counter(
        input=sum(row["input_tokens"] for row in rows),
        output=sum(row["output_tokens"] for row in rows),
    )


@pytest.mark.promise("P18", fault="the engine is cut after 5 of 20 tokens")
@pytest.mark.parametrize("kind", [OpenAI, Tunery])
def test_what_the_engine_did_not_end_raises_and_counts_what_came(
    serving: Stack, kind: type[OpenAI]
) -> None:
    before = used(serving)
    serving.order(Fault.CUT, tokens=TOKENS, after=SENT)
    heard: list[int] = []
    with serving.openai(kind) as client, pytest.raises(openai.APIError, match="went away"):
        read(serving, client, heard.append)
    assert heard == list(range(1, SENT + 1))
    assert used(serving) - before == Counter({"input": PROMPT_TOKENS, "output": SENT})


@pytest.mark.promise("P18", fault="SIGKILL of the gateway amid a stream")
@pytest.mark.parametrize(
    ("kind", "error"), [(OpenAI, openai.APIConnectionError), (Tunery, StreamInterrupted)]
)
def test_what_the_gateway_did_not_end_raises_and_counts_no_more_than_came(
    serving: Stack, kind: type[OpenAI], error: type[Exception]
) -> None:
    before = used(serving)
    serving.order(Fault.STALLS, tokens=TOKENS, after=SENT)

    def kill_at_the_last(number: int) -> None:
        if number == SENT:
            serving.gateway.kill()

    with serving.openai(kind) as client, pytest.raises(error):
        read(serving, client, kill_at_the_last)
    until(lambda: serving.engine_runs() == 0)
    serving.order(Fault.NONE)
    serving.start_gateway()
    assert (used(serving) - before)["output"] <= SENT

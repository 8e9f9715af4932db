"""``/v1/messages`` on the real engine, through Anthropic's stock client."""

from collections.abc import Iterator

import anthropic
import pytest
from anthropic import Anthropic
from anthropic.types import MessageParam, ToolParam
from openai.types.fine_tuning import FineTuningJob

from tests.servers import MODEL_NAME, RunningServer

pytestmark = pytest.mark.engine

QUESTION: list[MessageParam] = [{"role": "user", "content": "What is the capital of France?"}]
GREEDY = {"temperature": 0}
"""This version of the client no longer has a word for it; others do."""
WEATHER: ToolParam = {
    "name": "get_weather",
    "strict": True,
    "input_schema": {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[Anthropic]:
    with Anthropic(
        base_url=server.url,
        api_key=server.key,
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        yield client


def test_a_plain_answer(client: Anthropic) -> None:
    answer = client.messages.create(
        model=MODEL_NAME, messages=QUESTION, system="Be brief.", extra_body=GREEDY, max_tokens=40
    )
    [block] = answer.content
    assert block.type == "text"
    assert "Paris" in block.text
    assert (answer.stop_reason, answer.model) == ("end_turn", MODEL_NAME)
    assert answer.usage.input_tokens > 0
    assert answer._request_id


def test_a_stream_says_the_same_as_a_plain_answer(client: Anthropic) -> None:
    plain = client.messages.create(
        model=MODEL_NAME, messages=QUESTION, extra_body=GREEDY, max_tokens=40
    )
    with client.messages.stream(
        model=MODEL_NAME, messages=QUESTION, extra_body=GREEDY, max_tokens=40
    ) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    [block] = plain.content
    assert block.type == "text"
    assert text == block.text
    assert final.usage == plain.usage
    assert final.stop_reason == plain.stop_reason


def test_a_stream_begins_with_the_length_of_its_prompt(client: Anthropic) -> None:
    counted = client.messages.count_tokens(model=MODEL_NAME, messages=QUESTION)
    first, *_ = client.messages.create(
        model=MODEL_NAME, messages=QUESTION, max_tokens=2, stream=True
    )
    assert first.type == "message_start"
    assert first.message.usage.input_tokens == counted.input_tokens > 0


def test_why_an_answer_stopped(client: Anthropic) -> None:
    short = client.messages.create(model=MODEL_NAME, messages=QUESTION, max_tokens=2)
    assert short.stop_reason == "max_tokens"
    stopped = client.messages.create(
        model=MODEL_NAME,
        messages=QUESTION,
        max_tokens=40,
        extra_body=GREEDY,
        stop_sequences=[" is"],
    )
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", " is")


def test_an_answer_goes_on_from_its_beginning(client: Anthropic) -> None:
    answer = client.messages.create(
        model=MODEL_NAME,
        messages=[*QUESTION, {"role": "assistant", "content": "The capital of France is the city"}],
        extra_body=GREEDY,
        max_tokens=5,
    )
    [block] = answer.content
    assert block.type == "text"
    assert block.text.startswith(" of Paris")


@pytest.mark.parametrize("streamed", [False, True])
def test_a_call_of_a_tool_and_its_result(client: Anthropic, streamed: bool) -> None:
    question: list[MessageParam] = [{"role": "user", "content": "How is the weather in Rome?"}]
    if streamed:
        with client.messages.stream(
            model=MODEL_NAME,
            messages=question,
            tools=[WEATHER],
            tool_choice={"type": "tool", "name": "get_weather"},
            extra_body=GREEDY,
            max_tokens=80,
        ) as stream:
            first = stream.get_final_message()
    else:
        first = client.messages.create(
            model=MODEL_NAME,
            messages=question,
            tools=[WEATHER],
            tool_choice={"type": "any"},
            extra_body=GREEDY,
            max_tokens=80,
        )
    assert first.stop_reason == "tool_use"
    [call] = first.content
    assert call.type == "tool_use"
    assert call.input in ({"city": "Rome"}, {"city": "Paris"})
    result: MessageParam = {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "Sunny."}],
    }
    second = client.messages.create(
        model=MODEL_NAME,
        messages=[*question, {"role": "assistant", "content": first.content}, result],
        tools=[WEATHER],
        max_tokens=20,
    )
    assert second.content


def test_an_adapter_answers(client: Anthropic, lora_job: FineTuningJob) -> None:
    assert lora_job.fine_tuned_model is not None
    answers = [
        client.messages.create(model=model, messages=QUESTION, extra_body=GREEDY, max_tokens=16)
        for model in (MODEL_NAME, lora_job.fine_tuned_model)
    ]
    assert answers[0].content != answers[1].content


def test_refusals_are_in_anthropics_shape(client: Anthropic, server: RunningServer) -> None:
    with pytest.raises(anthropic.NotFoundError) as unknown:
        client.messages.create(model="nobody", messages=QUESTION, max_tokens=1)
    assert unknown.value.type == "not_found_error"
    with pytest.raises(anthropic.BadRequestError, match="context"):
        client.messages.create(
            model=MODEL_NAME,
            messages=[{"role": "user", "content": "word " * 5000}],
            max_tokens=1,
        )
    with pytest.raises(anthropic.AuthenticationError) as stranger:
        Anthropic(base_url=server.url, api_key="sk-tunery-x", max_retries=0).messages.create(
            model=MODEL_NAME, messages=QUESTION, max_tokens=1
        )
    assert stranger.value.type == "authentication_error"

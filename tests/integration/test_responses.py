"""``/v1/responses`` on the real engine, through the stock client, which checks every type."""

import json
from typing import Literal

import openai
import pytest
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob
from openai.types.responses import FunctionToolParam, ResponseInputParam
from pydantic import BaseModel

from tests.servers import MODEL_NAME, RunningServer

pytestmark = pytest.mark.engine

QUESTION = "What is the capital of France?"
WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "get_weather",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


class City(BaseModel):
    """What the model is made to answer with."""

    size: Literal["small", "large"]


@pytest.fixture(scope="module")
def client(server: RunningServer) -> OpenAI:
    return server.client()


def test_a_plain_answer(client: OpenAI) -> None:
    answer = client.responses.create(
        model=MODEL_NAME,
        input=QUESTION,
        instructions="You are a helpful assistant.",
        temperature=0,
        max_output_tokens=40,
        metadata={"a": "b"},
    )
    assert "Paris" in answer.output_text
    assert (answer.status, answer.model) == ("completed", MODEL_NAME)
    assert (answer.instructions, answer.metadata) == ("You are a helpful assistant.", {"a": "b"})
    assert (answer.temperature, answer.max_output_tokens) == (0, 40)
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens


def test_a_stream_says_the_same_as_a_plain_answer(client: OpenAI) -> None:
    plain = client.responses.create(
        model=MODEL_NAME, input=QUESTION, temperature=0, max_output_tokens=40
    )
    with client.responses.stream(
        model=MODEL_NAME, input=QUESTION, temperature=0, max_output_tokens=40
    ) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert "".join(deltas) == final.output_text == plain.output_text
    assert final.usage is not None
    assert plain.usage is not None
    assert final.usage.total_tokens == plain.usage.total_tokens


def test_an_answer_that_is_cut_off_says_so(client: OpenAI) -> None:
    answer = client.responses.create(model=MODEL_NAME, input=QUESTION, max_output_tokens=3)
    stream = client.responses.create(
        model=MODEL_NAME, input=QUESTION, max_output_tokens=3, stream=True
    )
    *_, last = stream
    assert last.type == "response.incomplete"
    for response in (answer, last.response):
        assert response.status == "incomplete"
        assert response.incomplete_details is not None
        assert response.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_call_of_a_tool_and_its_result(client: OpenAI, streamed: bool) -> None:
    question: ResponseInputParam = [{"role": "user", "content": "How is the weather in Rome?"}]
    asking = client.responses.stream(
        model=MODEL_NAME,
        input=question,
        tools=[WEATHER],
        tool_choice={"type": "function", "name": "get_weather"},
        max_output_tokens=80,
        temperature=0,
    )
    if streamed:
        with asking as stream:
            first = stream.get_final_response()
    else:
        first = client.responses.parse(
            model=MODEL_NAME,
            input=question,
            tools=[WEATHER],
            tool_choice="required",
            max_output_tokens=80,
            temperature=0,
        )
    [call] = first.output
    assert call.type == "function_call"
    assert json.loads(call.arguments)["city"] in {"Paris", "Rome"}
    second = client.responses.create(
        model=MODEL_NAME,
        input=[
            *question,
            {
                "type": "function_call",
                "call_id": call.call_id,
                "name": call.name,
                "arguments": call.arguments,
            },
            {"type": "function_call_output", "call_id": call.call_id, "output": "Sunny."},
        ],
        tools=[WEATHER],
        max_output_tokens=20,
    )
    assert second.output_text


def test_an_answer_that_satisfies_a_schema(client: OpenAI) -> None:
    answer = client.responses.parse(
        model=MODEL_NAME,
        input="How large is Rome?",
        text_format=City,
        temperature=0,
        max_output_tokens=60,
    )
    assert answer.output_parsed is not None
    assert answer.output_parsed.size in {"small", "large"}


def test_log_probabilities(client: OpenAI) -> None:
    answer = client.responses.create(
        model=MODEL_NAME,
        input=QUESTION,
        max_output_tokens=3,
        top_logprobs=2,
        include=["message.output_text.logprobs"],
    )
    [message] = answer.output
    assert message.type == "message"
    [part] = message.content
    assert part.type == "output_text"
    assert part.logprobs is not None
    assert [len(token.top_logprobs) for token in part.logprobs] == [2, 2, 2]


def test_the_conversation_so_far_is_read(client: OpenAI) -> None:
    first = client.responses.create(model=MODEL_NAME, input="Hi!", max_output_tokens=20)
    answer = client.responses.create(
        model=MODEL_NAME,
        input=[
            {"role": "user", "content": "Hi!"},
            *first.output,  # type: ignore[list-item]
            {"role": "user", "content": [{"type": "input_text", "text": QUESTION}]},
        ],
        temperature=0,
        max_output_tokens=40,
    )
    assert "Paris" in answer.output_text


def test_counting_agrees_with_what_is_used(client: OpenAI) -> None:
    counted = client.responses.input_tokens.count(
        model=MODEL_NAME, input=QUESTION, instructions="Be brief."
    )
    answer = client.responses.create(
        model=MODEL_NAME, input=QUESTION, instructions="Be brief.", max_output_tokens=1
    )
    assert answer.usage is not None
    assert counted.input_tokens == answer.usage.input_tokens


def test_an_adapter_answers(client: OpenAI, lora_job: FineTuningJob) -> None:
    assert lora_job.fine_tuned_model is not None
    question = "What is the capital of Japan?"
    base = client.responses.create(
        model=MODEL_NAME, input=question, temperature=0, max_output_tokens=16
    )
    with client.responses.stream(
        model=lora_job.fine_tuned_model, input=question, temperature=0, max_output_tokens=16
    ) as stream:
        texts = [event.delta for event in stream if event.type == "response.output_text.delta"]
    assert "".join(texts) != base.output_text


def test_a_prompt_beyond_the_context_is_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as error:
        client.responses.create(model=MODEL_NAME, input="word " * 5000)
    assert (error.value.code, error.value.param) == ("context_length_exceeded", "input")


def test_nothing_is_stored(client: OpenAI) -> None:
    answer = client.responses.create(
        model=MODEL_NAME, input=QUESTION, max_output_tokens=1, store=True
    )
    with pytest.raises(openai.NotFoundError, match="stored"):
        client.responses.retrieve(answer.id)

"""Chat and text completions on the real engine, through the stock client."""

import json

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

from tests.servers import MODEL_NAME, RunningServer

pytestmark = pytest.mark.engine

QUESTION: list[ChatCompletionMessageParam] = [
    {"role": "user", "content": "What is the capital of France?"}
]


@pytest.fixture(scope="module")
def client(server: RunningServer) -> OpenAI:
    return server.client()


def test_a_plain_answer(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL_NAME, messages=QUESTION, temperature=0, max_tokens=20
    )
    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.model == MODEL_NAME
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_stream_says_the_same_as_a_plain_answer(client: OpenAI) -> None:
    plain = client.chat.completions.create(
        model=MODEL_NAME, messages=QUESTION, temperature=0, max_tokens=20
    )
    stream = client.chat.completions.create(
        model=MODEL_NAME, messages=QUESTION, temperature=0, max_tokens=20, stream=True
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == plain.choices[0].message.content
    assert all(chunk.usage is None for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_the_usage_of_a_stream_comes_last_when_asked_for(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model=MODEL_NAME,
        messages=QUESTION,
        max_tokens=5,
        stream=True,
        stream_options={"include_usage": True},
    )
    last = list(stream)[-1]
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == 5


def test_several_choices_and_a_stop_sequence(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL_NAME, messages=QUESTION, n=3, max_tokens=30, stop=["Paris"], temperature=0
    )
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    texts = {choice.message.content for choice in answer.choices}
    assert texts == {"The capital of France is "}


def test_a_seed_repeats_a_sampled_answer(client: OpenAI) -> None:
    def sample(seed: int) -> str | None:
        answer = client.chat.completions.create(
            model=MODEL_NAME,
            messages=[{"role": "user", "content": "Tell me a short story."}],
            temperature=1.5,
            seed=seed,
            max_tokens=24,
        )
        return answer.choices[0].message.content

    assert sample(7) == sample(7)
    assert sample(7) != sample(8)


def test_log_probabilities(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL_NAME, messages=QUESTION, max_tokens=3, logprobs=True, top_logprobs=2
    )
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert [len(token.top_logprobs) for token in logprobs.content] == [2, 2, 2]
    assert all(token.logprob <= 0 for token in logprobs.content)


def test_an_answer_that_satisfies_a_json_schema(client: OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 20},
            "size": {"enum": ["small", "large"]},
        },
        "required": ["city", "size"],
        "additionalProperties": False,
    }
    answer = client.chat.completions.create(
        model=MODEL_NAME,
        messages=QUESTION,
        max_tokens=60,
        temperature=0,
        response_format={"type": "json_schema", "json_schema": {"name": "city", "schema": schema}},
    )
    city = json.loads(answer.choices[0].message.content or "")
    assert set(city) == {"city", "size"}
    assert city["size"] in {"small", "large"}


def test_a_tool_call(client: OpenAI) -> None:
    tool = {
        "type": "function",
        "function": {
            "name": "get_weather",
            "strict": True,
            "parameters": {
                "type": "object",
                "properties": {"city": {"enum": ["Paris", "Rome"]}},
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }
    answer = client.chat.completions.create(
        model=MODEL_NAME,
        messages=[{"role": "user", "content": "How is the weather in Rome?"}],
        tools=[tool],
        tool_choice={"type": "function", "function": {"name": "get_weather"}},
        max_tokens=80,
        temperature=0,
    )
    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].function.name == "get_weather"
    assert json.loads(calls[0].function.arguments)["city"] in {"Paris", "Rome"}


def test_a_text_completion(client: OpenAI) -> None:
    answer = client.completions.create(
        model=MODEL_NAME, prompt="The capital of France is", max_tokens=4, temperature=0
    )
    assert "Paris" in answer.choices[0].text


def test_completions_of_two_prompts_as_a_stream(server: RunningServer) -> None:
    # The client's own type has no null as finish_reason, which every chunk but the last carries.
    lenient = server.client(strict=False)
    stream = lenient.completions.create(
        model=MODEL_NAME,
        prompt=["One, two, three,", "Monday, Tuesday,"],
        max_tokens=4,
        stream=True,
    )
    assert {chunk.choices[0].index for chunk in stream} == {0, 1}


def test_an_unknown_model_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as error:
        client.chat.completions.create(model="nobody", messages=QUESTION)
    assert error.value.code == "model_not_found"
    assert error.value.param == "model"


def test_a_prompt_beyond_the_context_is_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(
            model=MODEL_NAME, messages=[{"role": "user", "content": "word " * 5000}]
        )
    assert error.value.code == "context_length_exceeded"


def test_models_are_listed_and_retrieved(client: OpenAI) -> None:
    assert MODEL_NAME in [model.id for model in client.models.list()]
    assert client.models.retrieve(MODEL_NAME).id == MODEL_NAME
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("ft:some/base:org:suffix:id")


def test_metrics_hold_ours_and_the_engines(server: RunningServer) -> None:
    with server.client(key=server.new_key("measured")).chat.completions.create(
        model=MODEL_NAME, messages=QUESTION, stream=True, stream_options={"include_usage": True}
    ) as chunks:
        *_, last = chunks
    assert last.usage is not None
    tokens = last.usage.completion_tokens
    with server.http() as http:
        text = http.get("/metrics").text
    assert f'tunery_tenant_tokens_total{{kind="completion",tenant="measured"}} {tokens}.0' in text
    assert 'tunery_tenant_time_to_first_token_seconds_count{tenant="measured"} 1.0' in text
    gaps = f'tunery_tenant_inter_token_latency_seconds_count{{tenant="measured"}} {tokens - 1}.0'
    assert gaps in text
    assert "vllm:num_requests_running" in text
    assert "running_lora_adapters" not in text, "a label for every set of adapters"

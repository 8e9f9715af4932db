"""No input that we could think of hurts the real engine or a good request beside it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx2
import pytest

from tests.bad_chats import Bad, chat, forced, schema, text, user
from tests.hostile_chats import BAD, SURVIVED
from tests.servers import MODEL_NAME, RunningServer

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

HANG_S = 60.0
AT_ONCE = 8
CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
GOOD = chat(model=MODEL_NAME, max_tokens=1)

OPTIONAL = {"type": "object", "properties": {f"p{number}": {} for number in range(400)}}

REFUSED_BY_THE_ENGINE: dict[str, Bad] = {
    "bias-beyond-vocabulary": Bad(chat(logit_bias={"49152": 1}), "invalid_value", "logit_bias"),
    "bias-far-beyond": Bad(chat(logit_bias={"9999999": 1}), "invalid_value", "logit_bias"),
    "token-beyond-vocabulary": Bad(text(prompt=[49152]), "invalid_value", path=TEXT),
    "token-far-beyond": Bad(text(prompt=[10**9]), "invalid_value", path=TEXT),
    "prompt-empty": Bad(text(prompt=""), "invalid_value", path=TEXT),
    "long-prompt": Bad(chat(**user("a b" * 3000)), "context_length_exceeded", "messages"),
    "many-tokens": Bad(chat(max_tokens=100_000), "context_length_exceeded", "messages"),
    "one-word-of-1-MB": Bad(chat(**user("a" * 2**20)), "context_length_exceeded", "messages"),
    "schema-not": Bad(chat(**schema({"not": {}})), "invalid_schema"),
    "schema-type": Bad(chat(**schema({"type": "exe"})), "invalid_schema"),
    "schema-impossible": Bad(
        chat(**schema({"type": "string", "minLength": 5, "maxLength": 1})), "invalid_schema"
    ),
    "tool-schema-type": Bad(chat(**forced({"type": 5})), "invalid_schema"),
}
"""What only the engine can know."""

ANSWERED: dict[str, bytes] = {
    "bias-last-of-vocabulary": chat(logit_bias={"49151": 1}),
    "bias-all": chat(logit_bias={str(number): -100 for number in range(300)}),
    "extremes": chat(temperature=5e-324, top_p=1e-300, min_p=1.0, top_k=2**20, seed=-(2**63)),
    "penalties": chat(repetition_penalty=10.0, frequency_penalty=2, presence_penalty=-2),
    "eight": chat(n=8),
    "stops": chat(stop=["\0", " ", "a" * 256]),
    "many-optional-properties": chat(**schema(OPTIONAL)),
    "lengths": chat(**schema({"type": "string", "minLength": 10**9})),
    "items": chat(**schema({"type": "array", "minItems": 9999})),
    "references": chat(
        **schema(
            {
                "$ref": "#/$defs/d0",
                "$defs": {
                    **{f"d{n}": {"items": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2}}
                       for n in range(30)},
                    "d30": {},
                },
            }
        )
    ),
    "system-alone": chat(messages=[{"role": "system", "content": "x"}]),
    "assistant-alone": chat(messages=[{"role": "assistant", "content": "x"}]),
}  # fmt: skip


@pytest.fixture
async def http(server: RunningServer) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    async with httpx2.AsyncClient(base_url=server.url, headers=headers, timeout=HANG_S) as client:
        yield client


def named(body: bytes) -> bytes:
    """The body for the model that is served here."""
    return body.replace(b'"model": "base"', json.dumps({"model": MODEL_NAME})[1:-1].encode())


async def all_answers(
    http: httpx2.AsyncClient, cases: Iterable[tuple[str, str, bytes]]
) -> dict[str, httpx2.Response]:
    """Of each case by its name; each is sent beside a good request, which has to succeed."""
    answers, cases = {}, list(cases)
    for some in (cases[start : start + AT_ONCE] for start in range(0, len(cases), AT_ONCE)):
        good = [http.post(CHAT, content=GOOD) for _ in some]
        bad = [http.post(path, content=named(body)) for _, path, body in some]
        both = await asyncio.gather(*good, *bad)
        assert {answer.status_code for answer in both[: len(some)]} == {200}
        answers |= dict(zip((name for name, _, _ in some), both[len(some) :], strict=True))
    return answers


def as_said(bad: Bad, answer: httpx2.Response) -> bool:
    error = answer.json()["error"]
    right_field = bad.param is None or error["param"] == bad.param
    return (answer.status_code, error["code"]) == (bad.status, bad.code) and right_field


@pytest.mark.parametrize("table", [BAD, REFUSED_BY_THE_ENGINE], ids=["gateway", "engine"])
async def test_every_bad_body_is_refused_and_the_engine_lives_on(
    server: RunningServer, http: httpx2.AsyncClient, table: dict[str, Bad]
) -> None:
    engine = server.pids("engine.launch")
    answers = await all_answers(http, ((name, bad.path, bad.body) for name, bad in table.items()))
    wrong = {
        name: answers[name].text for name, bad in table.items() if not as_said(bad, answers[name])
    }
    assert not wrong
    assert server.pids("engine.launch") == engine != []


async def test_what_is_only_odd_is_answered_and_the_engine_lives_on(
    server: RunningServer, http: httpx2.AsyncClient
) -> None:
    engine = server.pids("engine.launch")
    odd = {**SURVIVED, **ANSWERED}
    cases = ((name, CHAT, body[:-1] + b', "max_tokens": 2}') for name, body in odd.items())
    answers = await all_answers(http, cases)
    long = {"many-messages", "one-MB"}
    wrong = {name: answer.text for name, answer in answers.items() if answer.status_code != 200}
    assert wrong.keys() == long, wrong
    assert {answers[name].json()["error"]["code"] for name in long} == {"context_length_exceeded"}
    assert server.pids("engine.launch") == engine != []


async def test_no_url_of_a_client_is_fetched(http: httpx2.AsyncClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
        parts: list[dict[str, Any]] = [
            {"type": kind, kind: {"url": url}} for kind in ("image_url", "video_url", "audio_url")
        ]
        bodies = [*(chat(**user([part])) for part in parts), chat(**schema({"$ref": url}))]
        cases = ((str(number), CHAT, body) for number, body in enumerate(bodies))
        answers = await all_answers(http, cases)
        assert {answer.status_code for answer in answers.values()} == {400}
        with pytest.raises(BlockingIOError):
            listener.accept()


async def test_the_models_own_message_can_be_sent_back(http: httpx2.AsyncClient) -> None:
    said = (await http.post(CHAT, content=GOOD)).json()["choices"][0]["message"]
    again = chat(model=MODEL_NAME, max_tokens=1, messages=[{"role": "user", "content": "a"}, said])
    assert (await http.post(CHAT, content=again)).status_code == 200

import subprocess
import sys

import openai
import pytest

import tunery
from tunery import AsyncTunery, StreamInterrupted, Tunery

from .scripted_server import (
    BASE,
    TUNED,
    Reply,
    ScriptedServer,
    adapter,
    answer,
    chat_stream,
    refusal,
)

SLASHED = "ft:HuggingFaceTB/Smol:org:s:1"
SLASHED_PATH = "/v1/adapters/ft:HuggingFaceTB%2FSmol:org:s:1"
CHAT = ("POST", "/v1/chat/completions")
QUESTION = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def client(server: ScriptedServer) -> Tunery:
    strict = {"_strict_response_validation": True}
    return Tunery(base_url=server.url, api_key="sk-test", max_retries=0, **strict)


def test_it_is_an_openai_client_with_the_key(client: Tunery, server: ScriptedServer) -> None:
    assert isinstance(client, openai.OpenAI)
    assert [model.id for model in client.models.list()] == [TUNED, BASE]
    assert server.calls[0].headers["authorization"] == "Bearer sk-test"
    assert client.base_model() == BASE


def test_options_can_be_changed_on_a_copy(client: Tunery) -> None:
    copy = client.with_options(max_retries=5)
    assert isinstance(copy, Tunery)
    assert (copy.max_retries, copy.base_url, copy.api_key) == (5, client.base_url, "sk-test")


def test_what_creates_carries_a_key_that_stays_the_same_in_retries(
    client: Tunery, server: ScriptedServer
) -> None:
    path = "/v1/fine_tuning/jobs"
    server.replies["POST", path] = refusal(500, "not yet", **{"retry-after-ms": "1"})
    for _ in range(2):
        with pytest.raises(openai.InternalServerError):
            client.with_options(max_retries=1).fine_tuning.jobs.create(
                model=BASE, training_file="file-1"
            )
    first, second, third, fourth = [
        call.headers["idempotency-key"] for call in server.asked("POST", path)
    ]
    assert first == second != third == fourth
    client.models.list()
    assert "idempotency-key" not in server.calls[-1].headers


def test_adapters_are_listed_page_by_page(client: Tunery, server: ScriptedServer) -> None:
    page = {"object": "list", "data": [adapter()], "has_more": False}
    server.replies["GET", "/v1/adapters"] = answer(page)
    [found] = client.adapters.list(after="x", limit=1)
    assert (found.model, found.residency, found.metrics) == (TUNED, "loaded", {"train_loss": 0.75})
    assert server.calls[0].query == {"after": "x", "limit": "1"}
    assert server.calls[0].headers["authorization"] == "Bearer sk-test"


def test_an_adapters_name_may_hold_a_slash(client: Tunery, server: ScriptedServer) -> None:
    gone = {"id": SLASHED, "object": "adapter.deleted", "deleted": True}
    server.replies["GET", SLASHED_PATH] = answer(adapter(SLASHED))
    server.replies["DELETE", SLASHED_PATH] = answer(gone)
    assert client.adapters.retrieve(SLASHED).model == SLASHED
    assert client.adapters.delete(SLASHED).deleted


def test_an_unknown_adapter_is_not_found(client: Tunery) -> None:
    with pytest.raises(openai.NotFoundError):
        client.adapters.retrieve("ft:nobody")


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_change_the_path_is_refused(client: Tunery, name: str) -> None:
    with pytest.raises(ValueError, match="not a model name"):
        client.adapters.delete(name)


async def test_async_adapters(server: ScriptedServer) -> None:
    page = {"object": "list", "data": [adapter()], "has_more": False}
    server.replies["GET", "/v1/adapters"] = answer(page)
    server.replies["GET", SLASHED_PATH] = answer(adapter(SLASHED))
    gone = {"id": SLASHED, "object": "adapter.deleted", "deleted": True}
    server.replies["DELETE", SLASHED_PATH] = answer(gone)
    async with AsyncTunery(base_url=server.url, api_key="sk-test") as client:
        assert [found.model async for found in client.adapters.list()] == [TUNED]
        assert (await client.adapters.retrieve(SLASHED)).rank == 16
        assert (await client.adapters.delete(SLASHED)).deleted


def test_a_whole_stream_is_read(client: Tunery, server: ScriptedServer) -> None:
    server.replies[CHAT] = chat_stream("Hel", "lo")
    assert _read(client) == ["Hel", "lo"]


@pytest.mark.promise("P18", fault="a stream ends without its end mark; our client")
@pytest.mark.parametrize("end", ["", "data: {"])
def test_a_stream_cut_short_raises(client: Tunery, server: ScriptedServer, end: str) -> None:
    server.replies[CHAT] = chat_stream("Hel", end=end)
    with pytest.raises(StreamInterrupted):
        _read(client)


async def test_a_stream_cut_short_raises_for_a_coroutine(server: ScriptedServer) -> None:
    server.replies[CHAT] = chat_stream("Hel", end="")
    async with AsyncTunery(base_url=server.url, api_key="sk-test") as client:
        stream = await client.chat.completions.create(model=BASE, messages=QUESTION, stream=True)
        with pytest.raises(StreamInterrupted):
            [chunk async for chunk in stream]


def test_an_error_within_a_stream_keeps_its_message(client: Tunery, server: ScriptedServer) -> None:
    server.replies[CHAT] = chat_stream("Hel", end='data: {"error": {"message": "engine died"}}\n\n')
    with pytest.raises(openai.APIError, match="engine died"):
        _read(client)


def test_a_stream_of_named_events_needs_no_end_mark(client: Tunery, server: ScriptedServer) -> None:
    server.replies["POST", "/v1/responses"] = Reply(
        200, b'event: x\ndata: {"type": "x"}\n\n', {"content-type": "text/event-stream"}
    )
    loose = Tunery(base_url=server.url, api_key="sk-test")
    stream = loose.responses.create(model=BASE, input="Hi", stream=True)
    assert [event.type for event in stream] == ["x"]


def test_a_refusal_is_the_openai_packages_error(client: Tunery, server: ScriptedServer) -> None:
    server.replies["GET", "/v1/models"] = refusal(401, "wrong key")
    with pytest.raises(openai.AuthenticationError, match="wrong key"):
        client.models.list()


def test_the_public_names_are_all_there_is() -> None:
    assert sorted(tunery.__all__) == tunery.__all__ == dir(tunery)
    assert all(hasattr(tunery, name) for name in tunery.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        tunery.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import tunery; tunery.Tunery", {"typer", "rich", "tunery.cli"}),
        ("import tunery.cli._app", {"openai", "httpx2"}),
    ],
)
def test_imports_stay_light(code: str, absent: set[str]) -> None:
    check = f"{code}\nimport sys; print(*sorted({absent!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def _read(client: Tunery) -> list[str | None]:
    stream = client.chat.completions.create(model=BASE, messages=QUESTION, stream=True)
    return [chunk.choices[0].delta.content for chunk in stream]

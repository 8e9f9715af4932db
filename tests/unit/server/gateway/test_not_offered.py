"""Routes of OpenAI's and Anthropic's that are not here say so in a sentence."""

import openai
import pytest

from tunery_server.gateway.not_offered import REASONS, why_not_offered

from .composed import Gateway


@pytest.fixture
def gateway(refusing_gateway: Gateway) -> Gateway:
    return refusing_gateway


@pytest.mark.parametrize("path", sorted(REASONS))
async def test_what_is_not_offered_says_so(gateway: Gateway, path: str) -> None:
    below = f"{path}/some-id"
    async with gateway.http() as http:
        for method in ("GET", "POST", "DELETE"):
            answer = await http.request(method, below)
            assert answer.status_code == 404
            assert answer.json()["error"]["message"] == REASONS[path]


async def test_the_stock_client_is_told_why(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        with pytest.raises(openai.NotFoundError, match="Embeddings are not offered") as raised:
            await client.embeddings.create(model="base", input="hi")
        assert raised.value.code == "not_found"
        with pytest.raises(openai.NotFoundError, match="No response is stored"):
            await client.responses.retrieve("resp_1")
        with pytest.raises(openai.NotFoundError, match="No response is stored"):
            await client.responses.delete("resp_1")
        with pytest.raises(openai.NotFoundError, match="No response is stored"):
            await client.responses.cancel("resp_1")
        with pytest.raises(openai.NotFoundError, match="No response is stored"):
            await client.responses.input_items.list("resp_1")
        for asking in (
            client.chat.completions.retrieve("chatcmpl-1"),
            client.chat.completions.update("chatcmpl-1", metadata={}),
            client.chat.completions.delete("chatcmpl-1"),
        ):
            with pytest.raises(openai.NotFoundError, match="No chat completion is stored"):
                await asking
        with pytest.raises(openai.NotFoundError, match="No chat completion is stored"):
            await client.chat.completions.messages.list("chatcmpl-1")


async def test_no_chat_completion_is_listed(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        page = await client.chat.completions.list(limit=5, order="desc", metadata={"a": "b"})
    assert page.data == []
    assert page.has_more is False


async def test_a_page_of_nothing_has_bounds_too(gateway: Gateway) -> None:
    async with gateway.http() as http:
        for query in ("limit=-1", "limit=101", "limit=x", "order=up"):
            answer = await http.get(f"/v1/chat/completions?{query}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_value")


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/v1/embedding", "/x/v1/audio"])
def test_a_path_that_nobody_knows_has_no_reason(path: str) -> None:
    assert why_not_offered(path) is None

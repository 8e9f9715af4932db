"""The document at /openapi.json says what the app has and takes."""

from typing import Any

import orjson
import pytest
from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute

from tunery_server.gateway.auth import INFERENCE
from tunery_server.gateway.openapi import document
from tunery_server.gateway.parsing import json_body
from tunery_server.gateway.protocol.base import Answer, Request

from .composed import Gateway


@pytest.fixture
def described(refusing_gateway: Gateway) -> dict[str, Any]:
    return document(refusing_gateway.app)


def operations(described: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }


def test_every_route_is_described(refusing_gateway: Gateway, described: dict[str, Any]) -> None:
    routes = [route for route in refusing_gateway.app.routes if isinstance(route, APIRoute)]
    assert len(routes) == len(refusing_gateway.app.routes)
    expected = {(method, route.path_format) for route in routes for method in route.methods}
    assert operations(described).keys() == expected
    assert ("GET", "/openapi.json") in expected


def test_only_the_health_checks_want_no_key(described: dict[str, Any]) -> None:
    for (_, path), operation in operations(described).items():
        assert operation["security"] == ([] if path in {"/livez", "/readyz"} else [{"bearer": []}])


def test_every_failure_has_the_shape_of_an_error(described: dict[str, Any]) -> None:
    for (_, path), operation in operations(described).items():
        name = "MessageErrorAnswer" if path.startswith("/v1/messages") else "ErrorAnswer"
        for status in ("4XX", "5XX"):
            schema = operation["responses"][status]["content"]["application/json"]["schema"]
            assert schema == {"$ref": f"#/components/schemas/{name}"}
        assert "422" not in operation["responses"]


def test_json_bodies_are_described(described: dict[str, Any]) -> None:
    body = operations(described)["POST", "/v1/chat/completions"]["requestBody"]
    reference = body["content"]["application/json"]["schema"]["$ref"]
    schema = described["components"]["schemas"][reference.rpartition("/")[2]]
    assert {"model", "messages", "temperature"} <= schema["properties"].keys()
    assert schema["required"] == ["model", "messages"]
    assert schema["additionalProperties"] is False


def test_keys_that_fit_no_pattern_are_described_as_refused(described: dict[str, Any]) -> None:
    bias = described["components"]["schemas"]["ChatRequest"]["properties"]["logit_bias"]
    assert bias["anyOf"][0]["additionalProperties"] is False


def test_forms_and_streams_are_described(described: dict[str, Any]) -> None:
    found = operations(described)
    form = found["POST", "/v1/files"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["file", "purpose"]
    chat = found["POST", "/v1/chat/completions"]["responses"]["200"]["content"]
    assert chat.keys() == {"application/json", "text/event-stream"}
    content = found["GET", "/v1/files/{file_id}/content"]["responses"]["200"]["content"]
    assert content.keys() == {"application/octet-stream"}


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    names = set(described["components"]["schemas"])
    text = orjson.dumps(described).decode()
    references = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert references
    assert references <= names


async def test_it_wants_a_key_but_no_scope(gateway: Gateway) -> None:
    key = gateway.new_key(INFERENCE)
    async with gateway.http(key) as http, gateway.http("sk-tunery-wrong") as stranger:
        answer = await http.get("/openapi.json")
        assert answer.json()["openapi"].startswith("3.1")
        assert answer.headers["content-type"] == "application/json"
        assert (await http.get("/openapi.json")).content == answer.content
        assert (await stranger.get("/openapi.json")).status_code == 401


async def test_the_allow_header_says_the_same(gateway: Gateway) -> None:
    found = document(gateway.app)["paths"]
    async with gateway.http() as http:
        for path, methods in found.items():
            answer = await http.put(path)
            assert answer.status_code == 405, path
            assert answer.headers["allow"].split(", ") == sorted(map(str.upper, methods)), path


def test_one_name_never_stands_for_two_things() -> None:
    class Thing(Request):
        asked: str

    asked = json_body(Thing)

    class Thing(Answer):  # type: ignore[no-redef]
        answered: str

    app = FastAPI()
    app.post("/things", dependencies=[Depends(asked)], response_model=Thing)(lambda: None)
    with pytest.raises(ValueError, match="two schemas are called Thing"):
        document(app)

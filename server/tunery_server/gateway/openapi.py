"""``/openapi.json``: every route as it is served, made once and kept as bytes.

FastAPI describes paths, parameters and answers. Added here is what it cannot see: the bodies that
:class:`JsonBody` reads, and which routes want a key.
"""

import functools
from collections.abc import Iterator
from typing import Any

import orjson
from fastapi import Depends, FastAPI, Response
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core.core_schema import DictSchema

from tunery_server import __version__
from tunery_server.gateway.deps import authenticate
from tunery_server.gateway.parsing import JsonBody
from tunery_server.gateway.protocol.errors import ErrorAnswer

Schema = dict[str, Any]


def errors(model: type[BaseModel]) -> dict[int | str, Schema]:
    """What a route may answer besides its own answer, in the shape of its wire."""
    return {
        "4XX": {"model": model, "description": "The request has to be changed first."},
        "5XX": {"model": model, "description": "The request is fine; try again later."},
    }


ERRORS = errors(ErrorAnswer)
"""What every route may answer unless it says otherwise."""

EVENTS: dict[int | str, Schema] = {
    200: {
        "description": "The engine's answer; with `stream` as events that end in `data: [DONE]`.",
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "text/event-stream": {"schema": {"type": "string"}},
        },
    }
}
"""The answer of a route that can stream."""


def answer_or_events(model: type[BaseModel]) -> dict[int | str, Schema]:
    """The answer of a route that sends ``model``, or with ``stream`` the events that lead to it."""
    return {200: {"model": model, "content": {"text/event-stream": {"schema": {"type": "string"}}}}}


_REFERENCE = "#/components/schemas/{model}"
_BEARER = {"type": "http", "scheme": "bearer", "description": "An API key."}


class _Strict(GenerateJsonSchema):
    """Says that a key which fits no pattern is refused, too."""

    def dict_schema(self, schema: DictSchema) -> JsonSchemaValue:
        described = super().dict_schema(schema)
        if "patternProperties" in described:
            described["additionalProperties"] = False
        return described


def install(app: FastAPI) -> None:
    """Serve the document of all of the app's routes. It wants a key, but no scope."""

    @functools.cache
    def document_json() -> bytes:
        return orjson.dumps(document(app))

    @app.get("/openapi.json", tags=["health"], dependencies=[Depends(authenticate)])
    def openapi() -> Response:
        """This document."""
        return Response(document_json(), media_type="application/json")


def content(media_type: str) -> dict[int | str, Schema]:
    """The answer of a route that sends text or bytes, not JSON."""
    return {200: {"content": {media_type: {"schema": {"type": "string"}}}}}


def form_body(model: type[BaseModel]) -> Schema:
    """What a route that reads a multipart form adds to its description of itself."""
    return {"requestBody": _body("multipart/form-data", model.model_json_schema())}


def filters(name: str, description: str) -> Schema:
    """The same for a route that takes ``name[key]=value`` in its query."""
    schema = {"type": "object", "additionalProperties": {"type": "string"}}
    parameter = {"in": "query", "name": name, "style": "deepObject", "explode": True}
    return {"parameters": [parameter | {"schema": schema, "description": description}]}


def document(app: FastAPI) -> Schema:
    """The OpenAPI document of ``app``."""
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    described = get_openapi(title=app.title, version=__version__, routes=routes)
    components = described.setdefault("components", {})
    components["securitySchemes"] = {"bearer": _BEARER}
    references, definitions = _body_schemas(routes)
    _merge(components.setdefault("schemas", {}), definitions)
    for route in routes:
        for method in route.methods:
            operation = described["paths"][route.path_format][method.lower()]
            operation["security"] = [{"bearer": []}] if _wants_key(route) else []
            for body in _json_bodies(route):
                operation["requestBody"] = _body("application/json", references[body.model])
    return described


def _body_schemas(routes: list[APIRoute]) -> tuple[dict[type[BaseModel], Schema], Schema]:
    models = {body.model for route in routes for body in _json_bodies(route)}
    references, schemas = models_json_schema(
        [(model, "validation") for model in sorted(models, key=lambda model: model.__name__)],
        ref_template=_REFERENCE,
        schema_generator=_Strict,
    )
    return {model: references[model, "validation"] for model in models}, schemas["$defs"]


def _merge(schemas: Schema, definitions: Schema) -> None:
    """Raises ValueError where a body and an answer give one name to two things."""
    for name, definition in definitions.items():
        if schemas.setdefault(name, definition) != definition:
            raise ValueError(f"two schemas are called {name}")


def _body(media_type: str, schema: Schema) -> Schema:
    return {"required": True, "content": {media_type: {"schema": schema}}}


def _json_bodies(route: APIRoute) -> Iterator[JsonBody[Any]]:
    return (call for call in _calls(route.dependant) if isinstance(call, JsonBody))


def _wants_key(route: APIRoute) -> bool:
    return any(call is authenticate for call in _calls(route.dependant))


def _calls(dependant: Dependant) -> Iterator[Any]:
    yield dependant.call
    for dependency in dependant.dependencies:
        yield from _calls(dependency)

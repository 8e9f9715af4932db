"""Every field of the client's types is in ours, with a type that fits."""

from importlib.metadata import version
from typing import Annotated, Any, Literal

import pytest
from openai.types import FileObject as TheirFile
from pydantic import Field, create_model

from tests.compatibility import must_be_documented
from tunery_server.gateway.protocol.base import Answer, Request
from tunery_server.gateway.protocol.files import FileObject
from tunery_server.gateway.protocol.jobs import CreateJob

from .fitting import fields, problems
from .pairs import ANSWERS, REQUESTS, Pair


def found(pair: Pair, *, answer: bool) -> set[str]:
    """Paths at which the pair does not fit."""
    sent, taken = (pair.ours, pair.theirs) if answer else (pair.theirs, pair.ours)
    paths = problems(sent, taken, "", closed=not answer)
    return {".".join(path.split(".")[1:][: pair.depth]) for path in paths}


def named(pair: Pair) -> str:
    return pair.name


@pytest.mark.parametrize("pair", ANSWERS, ids=named)
def test_the_client_finds_every_field_of_an_answer(pair: Pair) -> None:
    assert found(pair, answer=True) == set(pair.exceptions)


@pytest.mark.parametrize("pair", REQUESTS, ids=named)
def test_the_server_takes_every_field_of_a_request(pair: Pair) -> None:
    assert found(pair, answer=False) == set(pair.exceptions)


def test_the_page_says_so() -> None:
    must_be_documented(
        "fields",
        {"openai": version("openai"), "pairs": [_described(pair) for pair in ANSWERS + REQUESTS]},
    )


def _described(pair: Pair) -> dict[str, Any]:
    theirs, ours = fields(pair.theirs) or {}, fields(pair.ours) or {}
    return {
        "theirs": pair.name,
        "ours": pair.ours.__name__,
        "fields": len(theirs),
        "extra": sorted(ours.keys() - theirs.keys()),
        "exceptions": dict(pair.exceptions),
    }


def without(model: Any, name: str) -> Any:
    """The same model, less one field."""
    kept = {
        field.alias or key: (field.annotation, field)
        for key, field in model.model_fields.items()
        if key != name
    }
    return create_model(model.__name__, __base__=model.__base__, **kept)


@pytest.mark.parametrize("name", sorted(TheirFile.model_fields))
def test_a_field_that_is_missing_from_an_answer_is_noticed(name: str) -> None:
    pair = Pair(TheirFile, without(FileObject, name))
    assert name in found(pair, answer=True)


@pytest.mark.parametrize("name", ["training_file", "metadata", "suffix"])
def test_a_field_that_a_request_does_not_take_is_noticed(name: str) -> None:
    theirs = next(pair.theirs for pair in REQUESTS if pair.ours is CreateJob)
    assert name in found(Pair(theirs, without(CreateJob, name)), answer=False)


class Theirs(Answer):
    """What a client reads."""

    kind: Literal["a", "b"]
    size: float
    names: list[str]
    part: "Theirs | None"


@pytest.mark.parametrize(
    ("change", "paths"),
    [
        ({}, set()),
        ({"kind": Literal["a"]}, set()),
        ({"kind": Literal["a", "c"]}, {"kind"}),
        ({"kind": str}, {"kind"}),
        ({"kind": Literal["a"] | None}, {"kind"}),
        ({"size": int}, set()),
        ({"size": str}, {"size"}),
        ({"size": Annotated[float, Field(ge=0)]}, set()),
        ({"names": tuple[str, ...]}, set()),
        ({"names": tuple[int, ...]}, {"names"}),
        ({"names": dict[str, str]}, {"names"}),
        ({"part": None}, set()),
        ({"part": int}, {"part"}),
    ],
)
def test_types_fit_or_do_not(change: dict[str, Any], paths: set[str]) -> None:
    kinds = {name: field.annotation for name, field in Theirs.model_fields.items()} | change
    ours: Any = create_model("Ours", **{name: (kind, ...) for name, kind in kinds.items()})
    assert found(Pair(Theirs, ours), answer=True) == paths


def test_a_missing_field_is_found_however_deep() -> None:
    class Leaf(Request):
        kind: Literal["a"]

    class Ours(Request):
        kind: Literal["a"]
        size: float
        names: list[str]
        part: Leaf | None

    assert found(Pair(Theirs, Ours), answer=True) == {"part.size", "part.names", "part.part"}

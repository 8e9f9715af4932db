"""Whatever bytes come, a parser gives a value or one of our own errors, and soon.

A run of a few hundred examples is part of the suite; ``make fuzz`` goes on for TUNERY_TEST_FUZZ_S
seconds in all.
"""

import asyncio
import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.authentication import authenticator_of
from tests.bad_chats import CHAT
from tunery_adapters.special_tokens import JOINER, SpecialTokens
from tunery_server.errors import NotFound, TuneryError, Unauthenticated
from tunery_server.files.dataset import read_dataset
from tunery_server.gateway.error_handlers import body_of
from tunery_server.gateway.parsing import checked, json_body
from tunery_server.gateway.protocol.chat import ChatRequest
from tunery_server.gateway.protocol.completions import CompletionRequest
from tunery_server.gateway.protocol.jobs import CreateJob
from tunery_server.gateway.protocol.sampling import engine_body
from tunery_server.serving.resolver import Resolver

from . import texts

HANG = timedelta(seconds=10)
"""Far beyond the 50 ms that an example may take, for the machine may be busy."""

FUZZ_S = float(os.environ.get("TUNERY_TEST_FUZZ_S", "0"))
SPELT = ["<|im_end|>", "<s>", "<|im_", "s>"]
TOKENS = SpecialTokens(SPELT)


@contextlib.contextmanager
def our_own(expected: type[TuneryError] = TuneryError) -> Iterator[None]:
    """An error of ours can be told to the client; anything else fails the test."""
    try:
        yield
    except expected as error:
        status, body = body_of(error)
        assert 400 <= status < 500
        assert body.isascii()


@given(texts.bodies, st.sampled_from([ChatRequest, CompletionRequest, CreateJob]))
def bodies(body: bytes, model: Any) -> None:
    with our_own():
        request = json_body(model).read(body)
        if isinstance(request, CreateJob):
            request.request()
        else:
            sent = orjson.dumps(TOKENS.as_text(engine_body(request)))
            assert not [word for word in SPELT if word.encode() in sent]


@given(st.dictionaries(texts.texts, texts.values, max_size=5) | texts.known)
def grammars(schema: dict[str, Any]) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    body = json.dumps({**CHAT, "response_format": form}).encode()
    with our_own():
        json_body(ChatRequest).read(body)


@given(texts.bodies | st.lists(texts.bodies, max_size=3).map(b"\n".join))
def lines(text: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(text)
        file.flush()
        with our_own():
            assert read_dataset(Path(file.name)).examples > 0


class Nothing:
    """No key, no adapter, and no folder; a digest is all that is asked for."""

    def by_digest(self, digest: str) -> None:
        assert set(digest) <= set("0123456789abcdef")

    def usable(self, tenant_id: str, model: str) -> None:
        assert "\0" not in model

    def newest(self, tenant_id: str, name: str) -> None:
        assert name.isascii()

    def path(self, adapter_id: str, version: int) -> Path:
        raise AssertionError("there is no adapter")


@given(
    st.lists(
        st.binary(max_size=60).map(lambda raw: raw.decode("latin-1"))
        | texts.texts.map(lambda text: f"Bearer {text.encode(errors='replace').decode('latin-1')}"),
        max_size=3,
    )
)
def keys(headers: list[str]) -> None:
    authenticator = authenticator_of(Nothing(), timer=lambda: 0.0)
    with our_own(Unauthenticated):
        asyncio.run(authenticator.principal(headers))
        pytest.fail("somebody got in")


@given(st.text(max_size=600).filter(lambda name: name != "base"))
def names(name: str) -> None:
    nothing = Nothing()
    resolver = Resolver(base_model="base", adapters=nothing, aliases=nothing, folders=nothing)
    with our_own(NotFound):
        asyncio.run(resolver.resolve("acme", name))
        pytest.fail("there is no such model")
    with our_own():
        job = checked(CreateJob, {"model": "base", "training_file": "f", "suffix": name})
        assert job.suffix == name
        assert name.isascii()
        assert not set(name) & set("/\\ \n$;<>:\0")


@given(texts.values | st.lists(st.sampled_from(["<", "s>", "|im_", "x"])).map("".join))
def spellings(value: Any) -> None:
    plain = TOKENS.as_text(value)
    text, before = repr(plain), repr(value)
    assert not [word for word in SPELT if word in text]
    assert text.replace(repr(JOINER)[1:-1], "") == before.replace(repr(JOINER)[1:-1], "")


TARGETS: list[Callable[[], None]] = [bodies, grammars, lines, keys, names, spellings]


@pytest.mark.parametrize("check", TARGETS, ids=lambda check: check.__name__)
def test_a_value_or_one_of_our_own_errors(check: Callable[[], None]) -> None:
    run = settings(
        max_examples=1000 if FUZZ_S else 200,
        deadline=HANG,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )(check)
    ends = time.monotonic() + FUZZ_S / len(TARGETS)
    run()
    while time.monotonic() < ends:
        run()

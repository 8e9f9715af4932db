"""Bytes and values as hostile clients send them."""

import json
import random
from typing import Any

from hypothesis import strategies as st

from tests.bad_chats import CHAT
from tests.hostile_chats import GRAMMARS
from tunery_server.gateway.protocol.chat import ChatRequest
from tunery_server.gateway.protocol.completions import CompletionRequest
from tunery_server.gateway.protocol.jobs import CreateJob

WORDS = sorted(
    {name for model in (ChatRequest, CompletionRequest, CreateJob) for name in model.model_fields}
    | {"role", "content", "type", "text", "function", "name", "arguments", "tool_calls", "weight"}
    | {"schema", "json_schema", "parameters", "properties", "$ref", "$defs", "anyOf", "pattern"}
    | {"user", "assistant", "system", "tool", "#", "#/$defs/a", "auto", "required", "base"}
)
"""What tells one branch of a check from another."""

ODD = ["\0", "\ud800", "<|im_end|>", "\u2060", "\u202e", "1e400", "{", "]", '"', "\\u0000", "😀"]

texts = st.sampled_from(WORDS) | st.sampled_from(ODD) | st.text(max_size=20)
scalars = (
    st.none() | st.booleans() | st.integers() | st.integers(-(2**70), 2**70) | st.floats() | texts
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=25,
)
known = st.sampled_from([CHAT, *GRAMMARS.values()])


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


@st.composite
def _mutated(draw: st.DrawFn) -> bytes:
    """JSON with a few bytes changed, left out, put in or said again."""
    text = bytearray(_dumped({**CHAT, **draw(st.dictionaries(texts, values, max_size=4))}))
    random_ = random.Random(draw(st.integers(0, 2**32)))  # noqa: S311 - where to cut
    for _ in range(draw(st.integers(0, 4))):
        start = random_.randrange(len(text) + 1)
        stop = start + random_.randrange(8)
        text[start:stop] = random_.choice(
            [
                b"",
                b"\0",
                b"\xff",
                b"[" * 50,
                b'":',
                bytes(text[start:stop]) * 2,
                b"1e999",
                b"\\ud800",
            ]
        )
    return bytes(text)


bodies = (
    st.binary(max_size=200)
    | values.map(_dumped)
    | st.dictionaries(texts, values, max_size=6).map(lambda more: _dumped({**CHAT, **more}))
    | _mutated()
)
"""From noise to what is nearly right."""

"""docs/parameters.md tells of every field, and no field of OpenAI's goes untold."""

import runpy
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from openai.types import completion_create_params as text_params
from openai.types.chat import completion_create_params as chat_params

from tunery_server.gateway.protocol.chat import ChatRequest
from tunery_server.gateway.protocol.completions import CompletionRequest

ROOT = Path(__file__).parents[2]
REQUESTS = [(ChatRequest, chat_params), (CompletionRequest, text_params)]
OWN = {"top_k", "min_p", "repetition_penalty"}
NEWER = {"metadata", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
         "safety_identifier", "service_tier", "store"}  # fmt: skip
"""Fields of chats that text completions ignore as well."""


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "parameters_table.py"))


def test_the_page_is_up_to_date(script: dict[str, Any]) -> None:
    assert script["page"]() == (ROOT / "docs" / "parameters.md").read_text(), (
        "run 'python docs/parameters_table.py --write'"
    )


@pytest.mark.parametrize(("request_type", "params"), REQUESTS)
def test_every_field_of_openais_client_is_decided_upon(
    script: dict[str, Any], request_type: Any, params: Any
) -> None:
    theirs = set(get_type_hints(params.CompletionCreateParamsStreaming))
    ours = set(request_type.model_fields)
    assert theirs <= ours, "decide: forward it, ignore it, or refuse it by name"
    assert ours - theirs <= OWN | NEWER
    assert {script["fate"](request_type, name) for name in theirs} == {"used", "ignored", "refused"}


def test_the_engines_own_parameters_are_told() -> None:
    page = (ROOT / "docs" / "parameters.md").read_text()
    assert all(f"| `{name}` | " in page for name in OWN)

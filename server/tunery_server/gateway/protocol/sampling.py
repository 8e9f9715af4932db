"""Parameters that chat and text completions share."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from tunery_server.gateway.protocol.base import Metadata, PlainText, Request

MAX_CHOICES = 8
MAX_STOP_SEQUENCES = 4
MAX_TOP_LOGPROBS = 20
MAX_LOGIT_BIAS = 300
MAX_SEED = 2**63 - 1

Stop = Annotated[str, StringConstraints(min_length=1, max_length=256)]
_MAX_BIAS = 100
_TOKEN_ID = re.compile(r"[0-9]{1,7}")


def _few_biases(biases: Any) -> Any:
    if isinstance(biases, dict) and len(biases) > MAX_LOGIT_BIAS:
        raise ValueError(f"must not have more than {MAX_LOGIT_BIAS} token ids")
    return biases


def _known_biases(biases: dict[str, float]) -> dict[str, float]:
    if not all(map(_TOKEN_ID.fullmatch, biases)):
        raise ValueError("keys must be token ids")
    if not all(-_MAX_BIAS <= bias <= _MAX_BIAS for bias in biases.values()):
        raise ValueError(f"values must lie between -{_MAX_BIAS} and {_MAX_BIAS}")
    return biases


LogitBias = Annotated[
    dict[str, float],
    BeforeValidator(_few_biases),
    AfterValidator(_known_biases),
    Field(
        json_schema_extra={
            "maxProperties": MAX_LOGIT_BIAS,
            "additionalProperties": False,
            "patternProperties": {
                f"^{_TOKEN_ID.pattern}$": {
                    "type": "number",
                    "minimum": -_MAX_BIAS,
                    "maximum": _MAX_BIAS,
                }
            },
        }
    ),
]
"""The engine refuses ids beyond its vocabulary itself."""


class StreamOptions(Request):
    """Only ``include_usage`` changes anything."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Sampling(Request):
    """Sampling parameters, forwarded to the engine as they are.

    ``top_k``, ``min_p`` and ``repetition_penalty`` are the engine's own, beyond OpenAI's.
    """

    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    logit_bias: LogitBias | None = None
    n: int | None = Field(default=None, ge=1, le=MAX_CHOICES)
    seed: int | None = Field(default=None, ge=-MAX_SEED - 1, le=MAX_SEED)
    stop: Stop | Annotated[list[Stop], Field(max_length=MAX_STOP_SEQUENCES)] | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=-1, le=2**20)
    min_p: float | None = Field(default=None, ge=0, le=1)
    repetition_penalty: float | None = Field(default=None, ge=0.1, le=10)
    stream: bool | None = None
    stream_options: StreamOptions | None = None


class PromptCacheOptions(Request):
    """How long OpenAI would keep a prompt's prefix. The engine keeps each as long as it can."""

    mode: PlainText | None = Field(default=None, max_length=64)
    ttl: PlainText | None = Field(default=None, max_length=64)


class Ignored(Request):
    """OpenAI's fields that change nothing of an answer. They are accepted and dropped.

    ``user`` alone means something: an alias that is split leads each user the same way.
    """

    user: PlainText | None = Field(default=None, max_length=512)
    store: bool | None = None
    service_tier: PlainText | None = Field(default=None, max_length=64)
    metadata: Metadata | None = None
    prompt_cache_key: PlainText | None = Field(default=None, max_length=512)
    prompt_cache_options: PromptCacheOptions | None = None
    prompt_cache_retention: PlainText | None = Field(default=None, max_length=64)
    safety_identifier: PlainText | None = Field(default=None, max_length=512)


NOT_FORWARDED = {
    *Ignored.model_fields,
    "model",
    "stream_options",
    "modalities",
    "verbosity",
    "best_of",
}
"""The last three only have values that change nothing."""


def engine_body(request: Sampling) -> dict[str, Any]:
    """What of a request goes to the engine: all that was set, less what is ignored."""
    excluded = NOT_FORWARDED & type(request).model_fields.keys()
    body = request.model_dump(by_alias=True, exclude_none=True, exclude=excluded)
    if body.get("temperature") == 0 and body.get("n", 1) > 1:
        # vLLM refuses several greedy answers; sampling from the one best token gives them.
        body |= {"temperature": 1.0, "top_k": 1}
    return body

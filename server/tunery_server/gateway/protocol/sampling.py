"""Parameters that chat and text completions share."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from tunery_server.gateway.protocol.base import PlainText, Request

MAX_CHOICES = 8
MAX_STOP_SEQUENCES = 4
MAX_TOP_LOGPROBS = 20
MAX_LOGIT_BIAS = 300
MAX_SEED = 2**63 - 1

Stop = Annotated[str, StringConstraints(min_length=1, max_length=256)]
_TokenId = Annotated[str, StringConstraints(pattern=r"^\d{1,7}$")]
_Bias = Annotated[float, Field(ge=-100, le=100)]


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
    logit_bias: dict[_TokenId, _Bias] | None = Field(default=None, max_length=MAX_LOGIT_BIAS)
    n: int | None = Field(default=None, ge=1, le=MAX_CHOICES)
    seed: int | None = Field(default=None, ge=-MAX_SEED - 1, le=MAX_SEED)
    stop: Stop | Annotated[list[Stop], Field(max_length=MAX_STOP_SEQUENCES)] | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=-1, le=2**20)
    min_p: float | None = Field(default=None, ge=0, le=1)
    repetition_penalty: float | None = Field(default=None, gt=0, le=10)
    stream: bool | None = None
    stream_options: StreamOptions | None = None


class Ignored(Request):
    """OpenAI's fields that change nothing on this server. They are accepted and dropped."""

    user: PlainText | None = Field(default=None, max_length=512)
    store: bool | None = None
    service_tier: PlainText | None = Field(default=None, max_length=64)
    metadata: dict[str, str] | None = Field(default=None, max_length=16)
    prompt_cache_key: PlainText | None = Field(default=None, max_length=512)
    prompt_cache_retention: PlainText | None = Field(default=None, max_length=64)
    safety_identifier: PlainText | None = Field(default=None, max_length=512)


NOT_FORWARDED = {*Ignored.model_fields, "model", "stream_options"}


def engine_body(request: Sampling) -> dict[str, Any]:
    """What of a request goes to the engine: all that was set, less what is ignored."""
    excluded = NOT_FORWARDED & type(request).model_fields.keys()
    body = request.model_dump(by_alias=True, exclude_none=True, exclude=excluded)
    if body.get("temperature") == 0 and body.get("n", 1) > 1:
        # vLLM refuses several greedy answers; sampling from the one best token gives them.
        body |= {"temperature": 1.0, "top_k": 1}
    return body

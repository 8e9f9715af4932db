"""``POST /v1/completions``."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from tunery_server.errors import InvalidRequest
from tunery_server.gateway.protocol.base import NotOffered
from tunery_server.gateway.protocol.sampling import Ignored, Sampling

MAX_PROMPTS = 32
MAX_PROMPT_TOKENS = 2**18
MAX_LOGPROBS = 5


def _token_ids(tokens: list[int]) -> list[int]:
    """The engine knows how many ids there are; these are those that it can read."""
    if not 0 <= min(tokens) <= max(tokens) < 2**31:
        raise ValueError("token ids must not be negative or beyond the vocabulary")
    return tokens


_TokenId = Annotated[int, Field(json_schema_extra={"minimum": 0, "maximum": 2**31 - 1})]
_Tokens = Annotated[
    list[_TokenId],
    Field(min_length=1, max_length=MAX_PROMPT_TOKENS, fail_fast=True),
    AfterValidator(_token_ids),
]


class CompletionRequest(Sampling, Ignored):
    """A text completion of one prompt or several, given as text or as token ids."""

    model: str = Field(min_length=1)
    prompt: (
        str
        | _Tokens
        | Annotated[list[str], Field(min_length=1, max_length=MAX_PROMPTS, fail_fast=True)]
        | Annotated[list[_Tokens], Field(min_length=1, max_length=MAX_PROMPTS, fail_fast=True)]
    )
    max_tokens: int | None = Field(default=None, ge=1, le=2**31 - 1)
    logprobs: int | None = Field(default=None, ge=0, le=MAX_LOGPROBS)
    echo: bool | None = None
    suffix: NotOffered = None
    best_of: int | None = Field(default=None, ge=1, le=1)

    @model_validator(mode="after")
    def _fits_together(self) -> "CompletionRequest":
        if self.stream_options is not None and not self.stream:
            raise InvalidRequest("stream_options needs stream to be true.", param="stream_options")
        if self.echo and self.logprobs is not None:
            raise InvalidRequest("echo does not go with logprobs.", param="echo")
        return self

"""``POST /v1/completions``."""

from typing import Annotated

from pydantic import Field, model_validator

from tunery_server.gateway.protocol.sampling import Ignored, Sampling

MAX_PROMPTS = 32
MAX_LOGPROBS = 5

_Token = Annotated[int, Field(ge=0, lt=2**31)]
_Tokens = Annotated[list[_Token], Field(min_length=1)]


class CompletionRequest(Sampling, Ignored):
    """A text completion of one prompt or several, given as text or as token ids."""

    model: str = Field(min_length=1)
    prompt: (
        str
        | _Tokens
        | Annotated[list[str], Field(min_length=1, max_length=MAX_PROMPTS)]
        | Annotated[list[_Tokens], Field(min_length=1, max_length=MAX_PROMPTS)]
    )
    max_tokens: int | None = Field(default=None, ge=1, le=2**31 - 1)
    logprobs: int | None = Field(default=None, ge=0, le=MAX_LOGPROBS)
    echo: bool | None = None
    suffix: None = None
    best_of: int | None = Field(default=None, ge=1, le=1)

    @model_validator(mode="after")
    def _fits_together(self) -> "CompletionRequest":
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options needs stream to be true")
        return self

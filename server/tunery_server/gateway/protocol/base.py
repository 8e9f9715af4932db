"""What all wire types share."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict


class Request(BaseModel):
    """A checked request body: no coercion, no unknown field, no infinity."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Answer(BaseModel):
    """A response body."""

    model_config = ConfigDict(frozen=True)


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain a NUL character")
    return text


PlainText = Annotated[str, AfterValidator(_no_nul)]
"""Text that may become part of a record."""


class Deleted(Answer):
    """The answer to a DELETE."""

    id: str
    object: str
    deleted: Literal[True] = True

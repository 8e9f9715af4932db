"""One line of a preference dataset, as OpenAI's format for DPO has it."""

from typing import Annotated, TypeAlias

from pydantic import Field, model_validator

from tunery_server.files.messages import Assistant, Message, Row, Tool, check_system_messages

_Output: TypeAlias = Annotated[list[Assistant], Field(min_length=1, max_length=1)]


class _Input(Row):
    messages: list[Message] = Field(min_length=1, max_length=10_000, fail_fast=True)
    tools: Annotated[list[Tool], Field(fail_fast=True)] | None = None
    parallel_tool_calls: bool | None = None

    @model_validator(mode="after")
    def _one_system_message(self) -> "_Input":
        check_system_messages(self.messages)
        return self


class PreferenceRow(Row):
    """A prompt with two answers, of which people prefer the first."""

    input: _Input
    preferred_output: _Output
    non_preferred_output: _Output

    @model_validator(mode="after")
    def _two_answers(self) -> "PreferenceRow":
        outputs = [*self.preferred_output, *self.non_preferred_output]
        if not all(output.trained for output in outputs):
            raise ValueError("each output needs content or tool calls, and no weight of 0")
        if outputs[0] == outputs[1]:
            raise ValueError("the two outputs are the same")
        return self

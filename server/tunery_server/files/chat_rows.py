"""One line of a chat dataset, as OpenAI's supervised format has it."""

from typing import Annotated

from pydantic import Field, model_validator

from tunery_server.files.messages import Assistant, Message, Row, Tool, check_system_messages


class ChatRow(Row):
    """A conversation with at least one assistant turn to learn from."""

    messages: list[Message] = Field(min_length=1, max_length=10_000, fail_fast=True)
    tools: Annotated[list[Tool], Field(fail_fast=True)] | None = None
    parallel_tool_calls: bool | None = None

    @model_validator(mode="after")
    def _something_to_learn(self) -> "ChatRow":
        if not any(isinstance(m, Assistant) and m.trained for m in self.messages):
            raise ValueError("no assistant message with content and a weight other than 0")
        return self

    @model_validator(mode="after")
    def _one_system_message(self) -> "ChatRow":
        check_system_messages(self.messages)
        return self

"""From a ``/v1/messages`` request to the chat that it is."""

from collections.abc import Iterator
from itertools import groupby

import orjson

from tunery_server.gateway.dialects.chat_request import Chat, chat_of
from tunery_server.gateway.protocol.messages import (
    AssistantTurn,
    ChosenTool,
    CustomTool,
    MessageInput,
    MessageRequest,
    SystemTurn,
    TextBlockInput,
    ToolMode,
    ToolResultInput,
    ToolUseInput,
    UserTurn,
)
from tunery_server.serving.relay import InferenceRequest

_AS_THEY_ARE = {"max_tokens", "temperature", "top_p", "top_k", "stream"}
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def inference_of(request: MessageRequest) -> InferenceRequest:
    """The chat completion that answers the request."""
    user = request.metadata.user_id if request.metadata else None
    return chat_of(request.model, _body(request), user=user)


def _body(request: MessageRequest) -> Chat:
    body = prompt_of(request) | request.model_dump(include=_AS_THEY_ARE, exclude_none=True)
    if request.stop_sequences:
        body["stop"] = request.stop_sequences
    if request.stream:
        # A message says how long its prompt is before the model has said anything.
        body["stream_options"] = {"continuous_usage_stats": True}
    if request.output_config is not None and request.output_config.format is not None:
        schema = {"name": "answer", "schema": request.output_config.format.schema_}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def prompt_of(request: MessageInput) -> Chat:
    """The part of the body that becomes the prompt: messages and tools."""
    body: Chat = {"messages": list(_messages(request))}
    if request.messages[-1].role == "assistant":
        body |= {"add_generation_prompt": False, "continue_final_message": True}
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        body |= _tool_choice(request.tool_choice)
    return body


def _messages(request: MessageInput) -> Iterator[Chat]:
    if request.system is not None:
        yield {"role": "system", "content": _content(request.system)}
    for message in request.messages:
        match message:
            case AssistantTurn():
                yield _assistant(message)
            case SystemTurn():
                yield {"role": "system", "content": _content(message.content)}
            case UserTurn():
                yield from _user(message.content)


def _user(content: str | list[TextBlockInput | ToolResultInput]) -> Iterator[Chat]:
    """Results are messages of their own; the texts between them are the user's."""
    if isinstance(content, str):
        yield {"role": "user", "content": content}
        return
    for _, group in groupby(content, key=type):
        blocks = list(group)
        yield from (_result(block) for block in blocks if isinstance(block, ToolResultInput))
        if texts := [block for block in blocks if isinstance(block, TextBlockInput)]:
            yield {"role": "user", "content": _content(texts)}


def _result(block: ToolResultInput) -> Chat:
    content = _content(block.content or "")
    return {"role": "tool", "tool_call_id": block.tool_use_id, "content": content}


def _assistant(message: AssistantTurn) -> Chat:
    if isinstance(message.content, str):
        return {"role": "assistant", "content": message.content}
    texts = [block for block in message.content if isinstance(block, TextBlockInput)]
    calls = [_call(block) for block in message.content if isinstance(block, ToolUseInput)]
    said: Chat = {"content": _content(texts)} if texts else {}
    return {"role": "assistant", **said, **({"tool_calls": calls} if calls else {})}


def _content(content: str | list[TextBlockInput]) -> str | list[Chat]:
    if isinstance(content, str):
        return content
    return [{"type": "text", "text": block.text} for block in content]


def _call(block: ToolUseInput) -> Chat:
    function = {"name": block.name, "arguments": orjson.dumps(block.input).decode()}
    return {"id": block.id, "type": "function", "function": function}


def _tool(tool: CustomTool) -> Chat:
    function = tool.model_dump(include={"name", "description", "strict"}, exclude_none=True)
    return {"type": "function", "function": {**function, "parameters": tool.input_schema}}


def _tool_choice(choice: ToolMode | ChosenTool | None) -> Chat:
    if choice is None:
        return {}
    chosen: Chat = {"tool_choice": _choice(choice)}
    if choice.disable_parallel_tool_use is not None:
        chosen["parallel_tool_calls"] = not choice.disable_parallel_tool_use
    return chosen


def _choice(choice: ToolMode | ChosenTool) -> str | Chat:
    if isinstance(choice, ChosenTool):
        return {"type": "function", "function": {"name": choice.name}}
    return _CHOICES[choice.type]

"""From a ``/v1/responses`` request to the chat that it is."""

from collections.abc import Iterable

from tunery_server.gateway.dialects.chat_request import Chat, chat_of
from tunery_server.gateway.protocol.responses import (
    AssistantItem,
    CallItem,
    CallOutputItem,
    FunctionTool,
    InputTextPart,
    Item,
    NamedFunctionTool,
    OutputTextPart,
    PromptItem,
    RefusalPart,
    ResponseInput,
    ResponseRequest,
    SchemaTextFormat,
    TextSettings,
)
from tunery_server.serving.relay import InferenceRequest

_AS_THEY_ARE = {"temperature", "top_p", "top_k", "min_p", "repetition_penalty", "stream"}


def inference_of(request: ResponseRequest) -> InferenceRequest:
    """The chat completion that answers the request."""
    return chat_of(request.model, _body(request), user=request.user)


def _body(request: ResponseRequest) -> Chat:
    body = prompt_of(request)
    body |= request.model_dump(include=_AS_THEY_ARE, exclude_none=True)
    if request.max_output_tokens is not None:
        body["max_completion_tokens"] = request.max_output_tokens
    if request.include or request.top_logprobs:
        body |= {"logprobs": True, "top_logprobs": request.top_logprobs or 0}
    return body | _response_format(request.text)


def prompt_of(request: ResponseInput) -> Chat:
    """The part of the body that becomes the prompt: messages and tools."""
    body: Chat = {"messages": _messages(request)}
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        if request.tool_choice is not None:
            body["tool_choice"] = _tool_choice(request.tool_choice)
        if request.parallel_tool_calls is not None:
            body["parallel_tool_calls"] = request.parallel_tool_calls
    return body


def _messages(request: ResponseInput) -> list[Chat]:
    messages: list[Chat] = []
    if request.instructions is not None:
        messages.append({"role": "system", "content": request.instructions})
    if isinstance(request.input, str):
        return [*messages, {"role": "user", "content": request.input}]
    for item in request.input:
        _add(messages, item)
    return messages


def _add(messages: list[Chat], item: Item) -> None:
    """Append an item; a call joins the turn that it is part of."""
    match item:
        case PromptItem():
            messages.append({"role": item.role, "content": _content(item.content)})
        case AssistantItem():
            messages.append({"role": "assistant", "content": _content(item.content)})
        case CallOutputItem():
            content = _content(item.output)
            messages.append({"role": "tool", "tool_call_id": item.call_id, "content": content})
        case CallItem():
            if not messages or messages[-1]["role"] != "assistant":
                messages.append({"role": "assistant"})
            messages[-1].setdefault("tool_calls", []).append(_call(item))


def _content(
    content: str | Iterable[InputTextPart | OutputTextPart | RefusalPart],
) -> str | list[Chat]:
    if isinstance(content, str):
        return content
    texts = (part.refusal if isinstance(part, RefusalPart) else part.text for part in content)
    return [{"type": "text", "text": text} for text in texts]


def _call(item: CallItem) -> Chat:
    function = {"name": item.name, "arguments": item.arguments}
    return {"id": item.call_id, "type": "function", "function": function}


def _tool(tool: FunctionTool) -> Chat:
    function = tool.model_dump(exclude_none=True, exclude={"type"})
    return {"type": "function", "function": function}


def _tool_choice(choice: str | NamedFunctionTool) -> str | Chat:
    if isinstance(choice, str):
        return choice
    return {"type": "function", "function": {"name": choice.name}}


def _response_format(text: TextSettings | None) -> Chat:
    if text is None or text.format is None:
        return {}
    if not isinstance(text.format, SchemaTextFormat):
        return {"response_format": {"type": text.format.type}}
    schema = text.format.model_dump(by_alias=True, exclude_none=True, exclude={"type"})
    return {"response_format": {"type": "json_schema", "json_schema": schema}}

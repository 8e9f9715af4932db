"""Chat messages as the base model sees them: the same text and the same tokens as at inference.

The engine hands messages to the model's own chat template in the form made here, renders text,
and tokenises it without adding special tokens (vLLM 0.32, renderers/chat_utils.py and
renderers/hf.py, content format ``string``).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from transformers import PreTrainedTokenizerBase

from tunery_adapters.special_tokens import SpecialTokens

Message: TypeAlias = Mapping[str, Any]
Tools: TypeAlias = Sequence[Mapping[str, Any]] | None


def prompt_ids(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], tools: Tools = None
) -> list[int]:
    """Return the token ids that the model is given before it generates its answer."""
    return encode(tokenizer, render(tokenizer, messages, tools, add_generation_prompt=True))


def special_tokens(tokenizer: PreTrainedTokenizerBase) -> SpecialTokens:
    """Those of the base model, as the engine's plug-in lists them for the gateway."""
    added = tokenizer.added_tokens_decoder.values()
    special = {token.content for token in added if token.special}
    return SpecialTokens(special.union(tokenizer.all_special_tokens))


def render(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    tools: Tools = None,
    *,
    add_generation_prompt: bool,
) -> str:
    """Render OpenAI-shaped messages by the model's chat template."""
    rendered = [_as_rendered(message) for message in messages]
    if not _knows_developers(tokenizer):
        rendered = _developers_as_system(rendered)
    text = tokenizer.apply_chat_template(
        rendered,
        tools=[_tool(tool) for tool in tools] if tools else None,
        add_generation_prompt=add_generation_prompt,
        tokenize=False,
    )
    return str(text)


def encode(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Tokenise rendered text; the template has written every special token already."""
    return list(tokenizer.encode(text, add_special_tokens=False))


def _as_rendered(message: Message) -> dict[str, Any]:
    rendered = {"role": message["role"], "content": _text(message.get("content"))}
    if calls := message.get("tool_calls"):
        rendered["tool_calls"] = [_tool_call(call) for call in calls]
    for key in ("name", "tool_call_id"):
        if isinstance(message.get(key), str):
            rendered[key] = message[key]
    return rendered


def _knows_developers(tokenizer: PreTrainedTokenizerBase) -> bool:
    """As the engine decides it: by the word in the template (vLLM 0.32, renderers/hf.py)."""
    template = str(tokenizer.chat_template)
    return '"developer"' in template or "'developer'" in template


def _developers_as_system(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One system message in front that says all that system and developer messages said.

    A conversation without a developer message, or with that one alone in front, keeps its order.
    """
    roles = [message["role"] for message in messages]
    if "developer" not in roles:
        return messages
    instructions = {"system", "developer"}
    said = [message["content"] for message in messages if message["role"] in instructions]
    others = [message for message in messages if message["role"] not in instructions]
    joined = said[0] if len(said) == 1 else "\n\n".join(filter(None, said))
    return [{"role": "system", "content": joined}, *others]


def _text(content: Any) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content)


def _tool_call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        arguments = json.loads(arguments)
    return {**call, "function": {**function, "arguments": arguments}}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    # The engine's own types fill in these keys, in this order, before a template prints them.
    function = tool["function"]
    described = {key: function.get(key) for key in ("name", "description", "parameters")}
    if function.get("strict") is not None:
        described["strict"] = function["strict"]
    return {"type": "function", "function": described}

"""How many tokens a prompt has, by the engine's own template and tokenizer."""

import orjson

from tunery_server.gateway.dialects.chat_request import Chat
from tunery_server.serving.caller import Caller
from tunery_server.serving.relay import InferenceRequest, Relay

_COUNTED = {"messages", "tools", "add_generation_prompt", "continue_final_message"}


async def prompt_length(relay: Relay, caller: Caller, model: str, prompt: Chat) -> int:
    """The length of a chat's prompt. Nothing is generated and nothing cached."""
    body = {name: value for name, value in prompt.items() if name in _COUNTED}
    counting = InferenceRequest(
        path="/tokenize", model=model, body=body, stream=False, include_usage=False
    )
    count: int = orjson.loads(await relay.complete(caller, counting))["count"]
    return count

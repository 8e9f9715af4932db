"""``/v1/messages``, Anthropic's wire."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from tunery_server.gateway import openapi
from tunery_server.gateway.deps import Asking, Used
from tunery_server.gateway.dialects.messages_answer import MessageWriter
from tunery_server.gateway.dialects.messages_request import inference_of, prompt_of
from tunery_server.gateway.disconnect import until_gone
from tunery_server.gateway.error_handlers import named_event_of
from tunery_server.gateway.parsing import json_body
from tunery_server.gateway.prompt_length import prompt_length
from tunery_server.gateway.protocol.message_objects import (
    MessageErrorAnswer,
    MessageObject,
    TokenCount,
)
from tunery_server.gateway.protocol.messages import MessageInput, MessageRequest
from tunery_server.gateway.translated import translated_answer
from tunery_server.gateway.wire import MESSAGES_PATH

router = APIRouter(
    prefix=MESSAGES_PATH, tags=["inference"], responses=openapi.errors(MessageErrorAnswer)
)

Body = Annotated[MessageRequest, Depends(json_body(MessageRequest))]
InputBody = Annotated[MessageInput, Depends(json_body(MessageInput))]


@router.post("", responses=openapi.answer_or_events(MessageObject))
async def create(request: Request, caller: Asking, body: Body, used: Used) -> Response:
    """Answer a conversation, whole or as a stream of named events."""
    inference, writer = inference_of(body), MessageWriter()
    return await translated_answer(request, caller, used.relay, inference, writer, named_event_of)


@router.post("/count_tokens")
async def count_tokens(request: Request, caller: Asking, body: InputBody, used: Used) -> TokenCount:
    """Count the tokens of a prompt, running nothing."""
    counting = prompt_length(used.relay, caller, body.model, prompt_of(body))
    return TokenCount(input_tokens=await until_gone(request.receive, counting))

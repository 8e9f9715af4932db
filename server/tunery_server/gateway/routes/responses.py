"""``/v1/responses``. Nothing is stored, so there is none to look up later."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from tunery_server.gateway import openapi
from tunery_server.gateway.deps import Asking, Used
from tunery_server.gateway.dialects.responses_answer import ResponseWriter
from tunery_server.gateway.dialects.responses_request import inference_of, prompt_of
from tunery_server.gateway.disconnect import until_gone
from tunery_server.gateway.error_handlers import response_event_of
from tunery_server.gateway.parsing import json_body
from tunery_server.gateway.prompt_length import prompt_length
from tunery_server.gateway.protocol.response_objects import InputTokens, ResponseObject
from tunery_server.gateway.protocol.responses import ResponseInput, ResponseRequest
from tunery_server.gateway.translated import translated_answer

router = APIRouter(prefix="/v1/responses", tags=["inference"])

Body = Annotated[ResponseRequest, Depends(json_body(ResponseRequest))]
InputBody = Annotated[ResponseInput, Depends(json_body(ResponseInput))]


@router.post("", responses=openapi.answer_or_events(ResponseObject))
async def create(request: Request, caller: Asking, body: Body, used: Used) -> Response:
    """Answer a conversation, whole or as a stream of named events."""
    writer = ResponseWriter(body)
    return await translated_answer(
        request,
        caller,
        used.relay,
        inference_of(body),
        writer,
        lambda error: response_event_of(error, writer.sequence_number),
    )


@router.post("/input_tokens")
async def input_tokens(
    request: Request, caller: Asking, body: InputBody, used: Used
) -> InputTokens:
    """Count the tokens of a prompt, running nothing."""
    counting = prompt_length(used.relay, caller, body.model, prompt_of(body))
    return InputTokens(input_tokens=await until_gone(request.receive, counting))

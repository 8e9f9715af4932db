"""``/v1/chat/completions`` and ``/v1/completions``."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from tunery_server.gateway import openapi
from tunery_server.gateway.deps import After, Asking, Used
from tunery_server.gateway.disconnect import until_gone
from tunery_server.gateway.parsing import json_body
from tunery_server.gateway.protocol.chat import ChatRequest, NoChats
from tunery_server.gateway.protocol.completions import CompletionRequest
from tunery_server.gateway.protocol.sampling import engine_body
from tunery_server.gateway.sse import event_stream
from tunery_server.serving.caller import Caller
from tunery_server.serving.relay import InferenceRequest, Relay

router = APIRouter(prefix="/v1", tags=["inference"])

ChatBody = Annotated[ChatRequest, Depends(json_body(ChatRequest))]
CompletionBody = Annotated[CompletionRequest, Depends(json_body(CompletionRequest))]


@router.post("/chat/completions", responses=openapi.EVENTS)
async def chat(request: Request, caller: Asking, body: ChatBody, used: Used) -> Response:
    """Answer a conversation, whole or as a stream."""
    return await _answer(request, caller, body, used.relay, "/v1/chat/completions")


@router.get("/chat/completions")
async def list_chats(
    caller: Asking,
    after: After = None,
    limit: Annotated[int, Query(ge=0, le=100)] = 20,
    order: Literal["asc", "desc"] = "asc",
) -> NoChats:
    """The stored chat completions: none, for none is stored."""
    return NoChats()


@router.post("/completions", responses=openapi.EVENTS)
async def completions(
    request: Request, caller: Asking, body: CompletionBody, used: Used
) -> Response:
    """Continue a text, whole or as a stream."""
    return await _answer(request, caller, body, used.relay, "/v1/completions")


async def _answer(
    request: Request,
    caller: Caller,
    body: ChatRequest | CompletionRequest,
    relay: Relay,
    path: str,
) -> Response:
    options = body.stream_options
    inference = InferenceRequest(
        path=path,
        model=body.model,
        body=engine_body(body),
        stream=bool(body.stream),
        include_usage=options is not None and bool(options.include_usage),
        user=body.user or "",
    )
    if inference.stream:
        return await event_stream(request, relay.stream(caller, inference))
    answer = await until_gone(request.receive, relay.complete(caller, inference))
    return Response(answer, media_type="application/json")

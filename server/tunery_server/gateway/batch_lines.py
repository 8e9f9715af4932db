"""Answers a line of a batch as the interactive route would answer its body."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

import orjson

from tunery_server.batches.results import LineAnswer
from tunery_server.errors import EngineUnavailable, InvalidRequest, TryAgainLater, TuneryError
from tunery_server.gateway.dialects.chat_answer import answer_of
from tunery_server.gateway.dialects.responses_answer import ResponseWriter
from tunery_server.gateway.dialects.responses_request import inference_of
from tunery_server.gateway.error_handlers import body_of
from tunery_server.gateway.parsing import checked
from tunery_server.gateway.protocol.chat import ChatRequest
from tunery_server.gateway.protocol.completions import CompletionRequest
from tunery_server.gateway.protocol.responses import ResponseRequest
from tunery_server.gateway.protocol.sampling import engine_body
from tunery_server.serving.caller import Caller
from tunery_server.serving.relay import InferenceRequest, Relay
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)

_BODIES: dict[str, type[ChatRequest] | type[CompletionRequest]] = {
    "/v1/chat/completions": ChatRequest,
    "/v1/completions": CompletionRequest,
}


@dataclass(frozen=True, slots=True)
class _Question:
    """What the engine is asked, and what becomes of its answer."""

    inference: InferenceRequest
    answered: Callable[[bytes], bytes]


class BatchLines:
    """The same checks, the same tenant's salt and adapters, but behind all other requests."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    async def __call__(self, tenant_id: str, endpoint: str, body: dict[str, Any]) -> LineAnswer:
        """Whatever is wrong with the line is an answer. Raises TryAgainLater for what will pass."""
        try:
            # In a thread, for a long line would hold up everybody else's answers.
            question = await asyncio.to_thread(_question, endpoint, body)
            inference = replace(question.inference, background=True)
            answer = await self._relay.complete(Caller(tenant_id), inference)
            return LineAnswer(HTTPStatus.OK, orjson.loads(question.answered(answer)))
        except TryAgainLater:
            raise
        except orjson.JSONDecodeError:
            raise EngineUnavailable("The engine went away during the answer.") from None
        except TuneryError as error:
            return _refusal(error, endpoint)
        except Exception:
            log.exception("a line of a batch met a fault of the server")
            return _refusal(TuneryError("The server made a mistake."), endpoint)


def _question(endpoint: str, body: dict[str, Any]) -> _Question:
    if endpoint == "/v1/responses":
        response = checked(ResponseRequest, body)
        _refuse_stream(response.stream)
        writer = ResponseWriter(response)
        return _Question(inference_of(response), lambda answer: answer_of(writer, answer))
    request = checked(_BODIES[endpoint], body)
    _refuse_stream(request.stream)
    inference = InferenceRequest(
        path=endpoint,
        model=request.model,
        body=engine_body(request),
        stream=False,
        include_usage=False,
    )
    return _Question(inference, lambda answer: answer)


def _refuse_stream(stream: bool | None) -> None:
    if stream:
        raise InvalidRequest("stream: a line of a batch cannot be streamed.", param="stream")


def _refusal(error: TuneryError, endpoint: str) -> LineAnswer:
    status, body = body_of(error, endpoint)
    return LineAnswer(status, orjson.loads(body))

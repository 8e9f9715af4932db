"""Answers a line of a batch as the interactive route would answer its body."""

from http import HTTPStatus
from typing import Any

import orjson

from tunery_server.batches.results import LineAnswer
from tunery_server.errors import EngineUnavailable, InvalidRequest, TryAgainLater, TuneryError
from tunery_server.gateway.error_handlers import body_of
from tunery_server.gateway.parsing import checked
from tunery_server.gateway.protocol.chat import ChatRequest
from tunery_server.gateway.protocol.completions import CompletionRequest
from tunery_server.gateway.protocol.sampling import engine_body
from tunery_server.serving.relay import InferenceRequest, Relay
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)

_BODIES: dict[str, type[ChatRequest] | type[CompletionRequest]] = {
    "/v1/chat/completions": ChatRequest,
    "/v1/completions": CompletionRequest,
}


class BatchLines:
    """The same checks, the same tenant's salt and adapters, but behind all other requests."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    async def __call__(self, tenant_id: str, endpoint: str, body: dict[str, Any]) -> LineAnswer:
        """Whatever is wrong with the line is an answer. Raises TryAgainLater for what will pass."""
        try:
            answer = await self._relay.complete(tenant_id, _request(endpoint, body))
            return LineAnswer(HTTPStatus.OK, orjson.loads(answer))
        except TryAgainLater:
            raise
        except orjson.JSONDecodeError:
            raise EngineUnavailable("The engine went away during the answer.") from None
        except TuneryError as error:
            return _refusal(error)
        except Exception:
            log.exception("a line of a batch met a fault of the server")
            return _refusal(TuneryError("The server made a mistake."))


def _request(endpoint: str, body: dict[str, Any]) -> InferenceRequest:
    request = checked(_BODIES[endpoint], body)
    if request.stream:
        raise InvalidRequest("stream: a line of a batch cannot be streamed.", param="stream")
    return InferenceRequest(
        path=endpoint,
        model=request.model,
        body=engine_body(request),
        stream=False,
        include_usage=False,
        background=True,
    )


def _refusal(error: TuneryError) -> LineAnswer:
    status, body = body_of(error)
    return LineAnswer(status, orjson.loads(body))

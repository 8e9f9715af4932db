"""Our plug-in inside vLLM's processes, through a public entry point.

``AdapterRoutes`` (``vllm.endpoint_plugins``) adds the routes by which adapters are loaded, really
unloaded, and listed. vLLM's own load route refuses a second load of the same name, and its unload
route forgets the name while the slot stays taken; ``engine_client.remove_lora`` frees it.

The other plug-in, under ``vllm.general_plugins``, is ``die_with_parent`` itself: vLLM calls it in
each of its processes, which would otherwise outlive a server process that is killed.
"""

import asyncio
import functools
import uuid
from argparse import Namespace
from http import HTTPStatus

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.datastructures import State
from vllm.engine.protocol import EngineClient
from vllm.entrypoints.openai.models.serving import OpenAIServingModels
from vllm.entrypoints.serve.engine.protocol import ErrorResponse
from vllm.entrypoints.serve.lora.protocol import LoadLoRAAdapterRequest
from vllm.tasks import SupportedTask
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.metrics.loggers import PrometheusStatLogger

from tunery_server.engine.vllm_http import ADAPTERS_PATH


class _Load(BaseModel):
    name: str
    path: str


class _Unload(BaseModel):
    name: str


class Adapters:
    """What the engine knows by name. One load or unload at a time."""

    def __init__(self, client: AsyncLLM, models: OpenAIServingModels) -> None:
        self._client = client
        self._models = models
        self._lock = asyncio.Lock()

    def names(self) -> list[str]:
        """Adapters that answer now."""
        return sorted(self._models.lora_requests)

    async def load(self, name: str, path: str) -> ErrorResponse | None:
        """Load unless it is known already; the error when vLLM refuses it."""
        async with self._lock:
            if name in self._models.lora_requests:
                return None
            answer = await self._models.load_lora_adapter(
                LoadLoRAAdapterRequest(lora_name=name, lora_path=path)
            )
            return answer if isinstance(answer, ErrorResponse) else None

    @functools.cached_property
    def special_tokens(self) -> list[str]:
        """Spellings that the base model's tokeniser turns into one token of its own kind."""
        tokenizer = self._client.get_tokenizer()
        added = getattr(tokenizer, "added_tokens_decoder", {}).values()
        special = {token.content for token in added if token.special}
        return sorted(special.union(tokenizer.all_special_tokens))

    async def pulse(self) -> None:
        """Return once the engine's loop has turned: it answers between two steps."""
        await self._client.list_loras()

    async def unload(self, name: str) -> None:
        """Forget the name, then free the weights."""
        async with self._lock:
            request = self._models.lora_requests.pop(name, None)
            if request is not None:
                await self._client.remove_lora(request.lora_int_id)


class AdapterRoutes:
    """The endpoint plug-in."""

    name = "tunery"
    required_tasks: tuple[SupportedTask, ...] | None = ("generate",)

    def __init__(self) -> None:
        self._boot_id = uuid.uuid4().hex

    def attach_router(self, app: FastAPI) -> None:
        """Add the four routes."""
        router = APIRouter(prefix=ADAPTERS_PATH)
        router.add_api_route("", self._list, methods=["GET"])
        router.add_api_route("", self._load, methods=["POST"])
        router.add_api_route("", self._unload, methods=["DELETE"])
        router.add_api_route("/pulse", self._pulse, methods=["GET"])
        app.include_router(router)

    async def init_state(
        self, engine_client: EngineClient | None, state: State, args: Namespace
    ) -> None:
        """Keep the engine's client and vLLM's table of names for the routes."""
        if isinstance(engine_client, AsyncLLM):
            state.tunery_adapters = Adapters(engine_client, state.openai_serving_models)
            _bound_labels(engine_client)

    async def _list(self, request: Request) -> JSONResponse:
        adapters = _adapters(request)
        return JSONResponse(
            {
                "boot_id": self._boot_id,
                "adapters": adapters.names(),
                "special_tokens": adapters.special_tokens,
            }
        )

    async def _pulse(self, request: Request) -> JSONResponse:
        await _adapters(request).pulse()
        return JSONResponse({})

    async def _load(self, request: Request, body: _Load) -> JSONResponse:
        error = await _adapters(request).load(body.name, body.path)
        if error is None:
            return JSONResponse({})
        return JSONResponse(error.model_dump(), status_code=error.error.code)

    async def _unload(self, request: Request, body: _Unload) -> JSONResponse:
        await _adapters(request).unload(body.name)
        return JSONResponse({}, status_code=HTTPStatus.OK)


def _bound_labels(client: AsyncLLM) -> None:
    """Drop ``vllm:lora_requests_info``: it has a series for every set of adapters that ever ran."""
    manager = client.logger_manager
    for logger in manager.stat_loggers if manager is not None else ():
        if isinstance(logger, PrometheusStatLogger):
            logger.gauge_lora_info = None


def _adapters(request: Request) -> Adapters:
    adapters: Adapters = request.app.state.tunery_adapters
    return adapters

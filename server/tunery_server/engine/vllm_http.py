"""vLLM over HTTP on a Unix socket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from tunery_server.engine.contract import EngineStatus, Reply
from tunery_server.errors import EngineRefused, EngineTooSlow, EngineUnavailable

ADAPTERS_PATH = "/v1/tunery/adapters"
"""Our plug-in's routes; vLLM's own key guards what lies under /v1."""
PULSE_PATH = f"{ADAPTERS_PATH}/pulse"

_LOAD_TIMEOUT_S = 120.0
_UNBOUNDED = b"vllm:lora_requests_info"
"""It has a series for every set of adapters that ever ran at once."""
_STATUS_TIMEOUT_S = 5.0


class VllmEngine:
    """Implements :class:`Engine`. Belongs to one event loop; close it there."""

    def __init__(
        self, socket: Path, read_key: Callable[[], str], *, request_timeout_s: float
    ) -> None:
        self._socket = socket
        self._read_key = read_key
        self._request_timeout_s = request_timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def status(self) -> EngineStatus:
        """One cheap round trip."""
        answer = await self._call("GET", ADAPTERS_PATH, timeout_s=_STATUS_TIMEOUT_S)
        try:
            return EngineStatus(
                answer["boot_id"],
                frozenset(answer["adapters"]),
                frozenset(answer["special_tokens"]),
            )
        except (KeyError, TypeError) as error:
            raise EngineUnavailable("The engine says something odd of itself.") from error

    async def pulse(self, within_s: float) -> bool:
        """Whether the loop that computes turns: False when it did not in so many seconds.

        vLLM's /health answers although that loop hangs.
        """
        try:
            await self._call("GET", PULSE_PATH, timeout_s=within_s)
        except EngineTooSlow:
            return False
        return True

    async def version(self) -> str:
        """vLLM's version, as the running process says it."""
        answer = await self._call("GET", "/version", timeout_s=_STATUS_TIMEOUT_S)
        return str(answer["version"])

    async def load(self, name: str, path: Path) -> None:
        """Load through the plug-in's route."""
        body = {"name": name, "path": str(path)}
        await self._call("POST", ADAPTERS_PATH, json=body, timeout_s=_LOAD_TIMEOUT_S)

    async def unload(self, name: str) -> None:
        """Unload through the plug-in's route."""
        await self._call("DELETE", ADAPTERS_PATH, json={"name": name}, timeout_s=_LOAD_TIMEOUT_S)

    def forward(self, path: str, body: bytes) -> AbstractAsyncContextManager[Reply]:
        """POST ``body`` as it is."""
        return self._forward(path, body)

    async def metrics(self) -> bytes:
        """What vLLM says on /metrics, less what grows without bound."""
        async with self._request("GET", "/metrics", timeout_s=_STATUS_TIMEOUT_S) as response:
            lines = (await response.read()).splitlines(keepends=True)
        return b"".join(line for line in lines if _UNBOUNDED not in line)

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _call(self, method: str, path: str, *, timeout_s: float, json: Any = None) -> Any:
        async with self._request(method, path, timeout_s=timeout_s, json=json) as response:
            try:
                return orjson.loads(await response.read())
            except orjson.JSONDecodeError as error:
                raise EngineUnavailable("The engine's answer cannot be read.") from error

    @asynccontextmanager
    async def _forward(self, path: str, body: bytes) -> AsyncIterator[Reply]:
        headers = {"Content-Type": "application/json"}
        async with self._request(
            "POST", path, timeout_s=self._request_timeout_s, data=body, headers=headers
        ) as response:
            yield _HttpReply(response)

    @asynccontextmanager
    async def _request(
        self, method: str, path: str, *, timeout_s: float, **arguments: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Authorization": f"Bearer {self._key()}", **arguments.pop("headers", {})}
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with self._open_session().request(
                method, f"http://engine{path}", headers=headers, timeout=timeout, **arguments
            ) as response:
                if response.status >= 400:  # noqa: PLR2004 - HTTP
                    raise _refusal(response.status, await response.read())
                yield response
        except TimeoutError as error:
            raise EngineTooSlow("The engine does not answer. Try again shortly.") from error
        except (aiohttp.ClientError, asyncio.IncompleteReadError) as error:
            raise EngineUnavailable("The engine does not answer. Try again shortly.") from error

    def _key(self) -> str:
        try:
            return self._read_key()
        except OSError as error:
            raise EngineUnavailable("The engine has not been started yet.") from error

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            # No bound on connections: admission bounds the requests.
            connector = aiohttp.UnixConnector(str(self._socket), limit=0)
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        return self._session


class _HttpReply:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            while chunk := await self._response.content.readany():
                yield chunk
        except TimeoutError as error:
            raise EngineTooSlow("The engine took too long for the answer.") from error
        except aiohttp.ClientError as error:
            raise EngineUnavailable("The engine went away during the answer.") from error


def _refusal(status: int, body: bytes) -> EngineRefused:
    """vLLM says ``{"error": {"message", "param", …}}``, but not on every route."""
    try:
        error = orjson.loads(body)["error"]
        return EngineRefused(str(error["message"]), status=status, param=error.get("param"))
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return EngineRefused("The engine refused the request.", status=status)

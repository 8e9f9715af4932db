"""``client.adapters``: the adapters behind fine-tuned model names."""

from typing import Any, Literal
from urllib.parse import quote

from openai import AsyncOpenAI, BaseModel, OpenAI
from openai._base_client import AsyncPaginator
from openai.pagination import AsyncCursorPage, SyncCursorPage
from openai.types import ModelDeleted

_PATH = "/adapters"


class Adapter(BaseModel):
    """One published adapter. ``bytes`` is the size of its files, ``created_at`` Unix time in s."""

    id: str
    object: Literal["adapter"]
    model: str
    """The name by which requests ask for it, ``ft:…``."""
    version: int
    base_model: str
    parent: str | None = None
    """The adapter that its training went on from, by its name."""
    job_id: str | None = None
    step: int | None = None
    created_at: int
    status: str
    residency: Literal["loaded", "unloaded", "loading"]
    """Whether the engine holds it now. An unloaded adapter is loaded by the next request."""
    rank: int
    alpha: float
    target_modules: str | list[str]
    bytes: int
    sha256: str
    metrics: dict[str, Any] | None = None


class Adapters:
    """Adapters of this server."""

    def __init__(self, client: OpenAI) -> None:
        self._client = client

    def list(self, *, after: str | None = None, limit: int = 100) -> SyncCursorPage[Adapter]:
        """A page of adapters, newest first; iterate over it to get all."""
        return self._client.get_api_list(
            _PATH,
            model=Adapter,
            page=SyncCursorPage[Adapter],
            options={"params": _paging(after, limit)},
        )

    def retrieve(self, model: str) -> Adapter:
        """The adapter that answers to ``model``. Raises openai.NotFoundError."""
        return self._client.get(_path(model), cast_to=Adapter)

    def delete(self, model: str) -> ModelDeleted:
        """Take the adapter out of service: requests for ``model`` get 404 from now on."""
        return self._client.delete(_path(model), cast_to=ModelDeleted)


class AsyncAdapters:
    """Adapters of this server."""

    def __init__(self, client: AsyncOpenAI) -> None:
        self._client = client

    def list(
        self, *, after: str | None = None, limit: int = 100
    ) -> AsyncPaginator[Adapter, AsyncCursorPage[Adapter]]:
        """A page of adapters, newest first: await it, or iterate over it to get all."""
        return self._client.get_api_list(
            _PATH,
            model=Adapter,
            page=AsyncCursorPage[Adapter],
            options={"params": _paging(after, limit)},
        )

    async def retrieve(self, model: str) -> Adapter:
        """The adapter that answers to ``model``. Raises openai.NotFoundError."""
        return await self._client.get(_path(model), cast_to=Adapter)

    async def delete(self, model: str) -> ModelDeleted:
        """Take the adapter out of service: requests for ``model`` get 404 from now on."""
        return await self._client.delete(_path(model), cast_to=ModelDeleted)


def _path(model: str) -> str:
    if model in {"", ".", ".."}:
        raise ValueError(f"not a model name: {model!r}")
    return f"{_PATH}/{quote(model, safe=':')}"


def _paging(after: str | None, limit: int) -> dict[str, object]:
    return {"limit": limit} if after is None else {"limit": limit, "after": after}

"""``client.adapters``: the adapters behind fine-tuned model names."""

import io
import os
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from openai import AsyncOpenAI, BaseModel, OpenAI
from openai._base_client import AsyncPaginator
from openai._legacy_response import HttpxBinaryResponseContent
from openai.pagination import AsyncCursorPage, SyncCursorPage
from openai.types import ModelDeleted

from ._archive import packed, unpack

_PATH = "/adapters"
_PURPOSE: Literal["user_data"] = "user_data"


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
    pinned: bool = False
    """It stays there while others come and go."""
    rank: int
    alpha: float
    target_modules: str | list[str]
    bytes: int
    sha256: str
    metrics: dict[str, Any] | None = None
    provenance: dict[str, Any] | None = None
    """Where it comes from; lists leave it out."""


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

    def create(self, *, file: str, suffix: str | None = None, sha256: str | None = None) -> Adapter:
        """Import an uploaded archive, ``file``, of an adapter that was trained elsewhere.

        Raises openai.BadRequestError that says what of it cannot be served.
        """
        return self._client.post(_PATH, body=_body(file, suffix, sha256), cast_to=Adapter)

    def upload(self, path: str | os.PathLike[str], *, suffix: str | None = None) -> Adapter:
        """Import a PEFT folder, or a tar, tar.gz or zip of one, in one call."""
        with packed(path) as archive:
            file = self._client.files.create(file=archive, purpose=_PURPOSE)
        try:
            return self.create(file=file.id, suffix=suffix)
        finally:
            self._client.files.delete(file.id)

    def pin(self, model: str) -> Adapter:
        """Load the adapter, and keep it in the engine. Raises openai.RateLimitError when full."""
        return self._client.post(f"{_path(model)}/pin", cast_to=Adapter)

    def unpin(self, model: str) -> Adapter:
        """Let the adapter give way to others again."""
        return self._client.post(f"{_path(model)}/unpin", cast_to=Adapter)

    def content(self, model: str) -> bytes:
        """The adapter as a tar: weights, configuration and card."""
        return self._client.get(_content_path(model), cast_to=HttpxBinaryResponseContent).content

    def save(self, model: str, folder: str | os.PathLike[str]) -> tuple[Path, ...]:
        """Write weights, configuration and card into a folder as model hubs have it; their paths.

        Raises TuneryError when the weights came damaged.
        """
        sha256 = self.retrieve(model).sha256
        return unpack(io.BytesIO(self.content(model)), folder, sha256=sha256)


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

    async def create(
        self, *, file: str, suffix: str | None = None, sha256: str | None = None
    ) -> Adapter:
        """Import an uploaded archive, ``file``, of an adapter that was trained elsewhere.

        Raises openai.BadRequestError that says what of it cannot be served.
        """
        return await self._client.post(_PATH, body=_body(file, suffix, sha256), cast_to=Adapter)

    async def upload(self, path: str | os.PathLike[str], *, suffix: str | None = None) -> Adapter:
        """Import a PEFT folder, or a tar, tar.gz or zip of one, in one call."""
        with packed(path) as archive:
            file = await self._client.files.create(file=archive, purpose=_PURPOSE)
        try:
            return await self.create(file=file.id, suffix=suffix)
        finally:
            await self._client.files.delete(file.id)

    async def pin(self, model: str) -> Adapter:
        """Load the adapter, and keep it in the engine. Raises openai.RateLimitError when full."""
        return await self._client.post(f"{_path(model)}/pin", cast_to=Adapter)

    async def unpin(self, model: str) -> Adapter:
        """Let the adapter give way to others again."""
        return await self._client.post(f"{_path(model)}/unpin", cast_to=Adapter)

    async def content(self, model: str) -> bytes:
        """The adapter as a tar: weights, configuration and card."""
        answer = await self._client.get(_content_path(model), cast_to=HttpxBinaryResponseContent)
        return answer.content

    async def save(self, model: str, folder: str | os.PathLike[str]) -> tuple[Path, ...]:
        """Write weights, configuration and card into a folder as model hubs have it; their paths.

        Raises TuneryError when the weights came damaged.
        """
        sha256 = (await self.retrieve(model)).sha256
        return unpack(io.BytesIO(await self.content(model)), folder, sha256=sha256)


def _path(model: str) -> str:
    if model in {"", ".", ".."}:
        raise ValueError(f"not a model name: {model!r}")
    return f"{_PATH}/{quote(model, safe=':')}"


def _content_path(model: str) -> str:
    return f"{_path(model)}/content"


def _body(file: str, suffix: str | None, sha256: str | None) -> dict[str, str]:
    given = {"file": file, "suffix": suffix, "sha256": sha256}
    return {name: value for name, value in given.items() if value is not None}


def _paging(after: str | None, limit: int) -> dict[str, object]:
    return {"limit": limit} if after is None else {"limit": limit, "after": after}

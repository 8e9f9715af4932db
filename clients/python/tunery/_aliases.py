"""``client.aliases``: names of your own that lead to adapters."""

from typing import Any, Literal
from urllib.parse import quote

from openai import AsyncOpenAI, BaseModel, OpenAI
from openai._base_client import AsyncPaginator
from openai.pagination import AsyncCursorPage, SyncCursorPage

_PATH = "/aliases"


class Canary(BaseModel):
    """Who else answers, and its share of the requests, from 0 to 1."""

    model: str
    weight: float


class Alias(BaseModel):
    """What a name means, or meant in one of its revisions. ``created_at`` is Unix time in s."""

    id: str
    object: Literal["alias"]
    revision: int
    model: str | None = None
    """None once it was deleted."""
    canary: Canary | None = None
    shadow: str | None = None
    created_at: int
    moved_by: str
    """The id of the key that did it."""
    reason: str
    comparison: dict[str, Any] | None = None
    """What a gate measured."""


class AliasDeleted(BaseModel):
    """The answer to a deletion."""

    id: str
    object: Literal["alias"]
    deleted: bool


class Aliases:
    """Aliases of this tenant."""

    def __init__(self, client: OpenAI) -> None:
        self._client = client

    def create(
        self,
        name: str,
        *,
        model: str,
        canary: tuple[str, float] | None = None,
        shadow: str | None = None,
    ) -> Alias:
        """Give ``model`` a name. ``canary`` is another model and its share of the requests."""
        body = {"name": name, **_routes(model, canary, shadow)}
        return self._client.post(_PATH, body=body, cast_to=Alias)

    def list(self, *, after: str | None = None, limit: int = 100) -> SyncCursorPage[Alias]:
        """A page of aliases, last moved first; iterate over it to get all."""
        return self._client.get_api_list(
            _PATH,
            model=Alias,
            page=SyncCursorPage[Alias],
            options={"params": _paging(after, limit)},
        )

    def retrieve(self, name: str) -> Alias:
        """What a name means. Raises openai.NotFoundError."""
        return self._client.get(_path(name), cast_to=Alias)

    def move(
        self,
        name: str,
        *,
        model: str,
        canary: tuple[str, float] | None = None,
        shadow: str | None = None,
        revision: int | None = None,
        gate: dict[str, Any] | None = None,
    ) -> Alias:
        """Let the name lead elsewhere; what is left out is gone.

        ``revision`` is the one that is to be replaced. ``gate`` lets it happen only for the better:
        ``{"file_id": …, "rows": 50, "margin": 0.02}`` or ``{"metric": "valid_loss"}``.
        Raises openai.BadRequestError, with the code ``alias_moved`` or ``gate_closed``.
        """
        body = _move(model, canary, shadow, revision, gate)
        return self._client.post(_path(name), body=body, cast_to=Alias)

    def roll_back(self, name: str, *, revision: int | None = None) -> Alias:
        """Back to where it led in ``revision``, or before its last move."""
        return self._client.post(
            f"{_path(name)}/rollback", body={"revision": revision}, cast_to=Alias
        )

    def revisions(
        self, name: str, *, before: int | None = None, limit: int = 20
    ) -> tuple[Alias, ...]:
        """What the name meant, newest first, from the revision before ``before`` on."""
        page = self._client.get(
            f"{_path(name)}/revisions",
            cast_to=SyncCursorPage[Alias],
            options={"params": _before(before, limit)},
        )
        return tuple(page.data)

    def delete(self, name: str) -> AliasDeleted:
        """Take the name away: requests for it get 404 from now on."""
        return self._client.delete(_path(name), cast_to=AliasDeleted)


class AsyncAliases:
    """As Aliases, to be awaited."""

    def __init__(self, client: AsyncOpenAI) -> None:
        self._client = client

    async def create(
        self,
        name: str,
        *,
        model: str,
        canary: tuple[str, float] | None = None,
        shadow: str | None = None,
    ) -> Alias:
        """Give ``model`` a name. ``canary`` is another model and its share of the requests."""
        body = {"name": name, **_routes(model, canary, shadow)}
        return await self._client.post(_PATH, body=body, cast_to=Alias)

    def list(
        self, *, after: str | None = None, limit: int = 100
    ) -> AsyncPaginator[Alias, AsyncCursorPage[Alias]]:
        """A page of aliases, last moved first: await it, or iterate over it to get all."""
        return self._client.get_api_list(
            _PATH,
            model=Alias,
            page=AsyncCursorPage[Alias],
            options={"params": _paging(after, limit)},
        )

    async def retrieve(self, name: str) -> Alias:
        """What a name means. Raises openai.NotFoundError."""
        return await self._client.get(_path(name), cast_to=Alias)

    async def move(
        self,
        name: str,
        *,
        model: str,
        canary: tuple[str, float] | None = None,
        shadow: str | None = None,
        revision: int | None = None,
        gate: dict[str, Any] | None = None,
    ) -> Alias:
        """Let the name lead elsewhere, as in ``Aliases``."""
        body = _move(model, canary, shadow, revision, gate)
        return await self._client.post(_path(name), body=body, cast_to=Alias)

    async def roll_back(self, name: str, *, revision: int | None = None) -> Alias:
        """Back to where it led in ``revision``, or before its last move."""
        return await self._client.post(
            f"{_path(name)}/rollback", body={"revision": revision}, cast_to=Alias
        )

    async def revisions(
        self, name: str, *, before: int | None = None, limit: int = 20
    ) -> tuple[Alias, ...]:
        """What the name meant, newest first, from the revision before ``before`` on."""
        page = await self._client.get(
            f"{_path(name)}/revisions",
            cast_to=AsyncCursorPage[Alias],
            options={"params": _before(before, limit)},
        )
        return tuple(page.data)

    async def delete(self, name: str) -> AliasDeleted:
        """Take the name away: requests for it get 404 from now on."""
        return await self._client.delete(_path(name), cast_to=AliasDeleted)


def _path(name: str) -> str:
    if name in {"", ".", ".."}:
        raise ValueError(f"not an alias: {name!r}")
    return f"{_PATH}/{quote(name, safe='')}"


def _routes(model: str, canary: tuple[str, float] | None, shadow: str | None) -> dict[str, object]:
    split = {"model": canary[0], "weight": canary[1]} if canary else None
    return {"model": model, "canary": split, "shadow": shadow}


def _move(
    model: str,
    canary: tuple[str, float] | None,
    shadow: str | None,
    revision: int | None,
    gate: dict[str, Any] | None,
) -> dict[str, object]:
    return {**_routes(model, canary, shadow), "revision": revision, "gate": gate}


def _paging(after: str | None, limit: int) -> dict[str, object]:
    return {"limit": limit} if after is None else {"limit": limit, "after": after}


def _before(before: int | None, limit: int) -> dict[str, object]:
    return {"limit": limit} if before is None else {"limit": limit, "before": before}

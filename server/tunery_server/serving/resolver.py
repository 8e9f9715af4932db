"""From the ``model`` of a request to what the engine calls it."""

import asyncio
import hashlib
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tunery_adapters.errors import AdapterError
from tunery_server.errors import NotFound
from tunery_server.records.rows import Adapter, AliasRevision
from tunery_server.serving.aliases import NAME as ALIAS
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)

_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,512}")
"""Of an adapter, perhaps. No other text gets as far as the record."""


@dataclass(frozen=True, slots=True)
class Target:
    """What answers. ``folder`` is None for the base model, which is always resident."""

    name: str
    folder: Path | None
    owner: str = ""
    """Whose adapter it is, who may be another tenant than the one that asks."""

    @property
    def kind(self) -> str:
        """``base`` or ``adapter``, for metrics."""
        return "base" if self.folder is None else "adapter"


@dataclass(frozen=True, slots=True)
class Route:
    """Who answers a request, and who gets a copy of it whose answer is thrown away."""

    target: Target
    shadow: Target | None = None
    alias: str = ""
    """The alias that the request named, if it did."""
    arm: str = "stable"
    """Which of the alias's adapters: ``stable``, ``canary`` or ``shadow``."""

    def of_the_shadow(self) -> "Route | None":
        """Where the copy goes; None when nobody gets one."""
        return Route(self.shadow, alias=self.alias, arm="shadow") if self.shadow else None


class AdapterLookup(Protocol):
    """The registry, as far as serving needs it."""

    def usable(self, tenant_id: str, model: str) -> Adapter | None:
        """A version that is ready and that the tenant owns, or has a permission for."""


class AliasLookup(Protocol):
    """The record of aliases, as far as serving needs it."""

    def newest(self, tenant_id: str, name: str) -> AliasRevision | None:
        """What the name means, or that it was deleted; None for one that never was."""


class AdapterFolders(Protocol):
    """The adapter store, as far as serving needs it."""

    def path(self, adapter_id: str, version: int) -> Path:
        """The folder of a published version."""


class Resolver:
    """Names to targets. What is another tenant's, and not permitted, does not exist."""

    def __init__(
        self,
        *,
        base_model: str,
        adapters: AdapterLookup,
        aliases: AliasLookup,
        folders: AdapterFolders,
    ) -> None:
        self._base = Target(base_model, None)
        self._adapters = adapters
        self._aliases = aliases
        self._folders = folders

    async def resolve(self, tenant_id: str, model: str, user: str = "") -> Route:
        """Where a request for ``model`` goes. Raises NotFound.

        An alias that is split leads the same ``user`` the same way as long as its weight stands,
        and those whom its canary answers stay with it as the weight grows. Without a user each
        request is on its own.
        """
        if model == self._base.name:
            return Route(self._base)
        if not _NAME.fullmatch(model):
            raise _unknown(model)
        return await asyncio.to_thread(self._route, tenant_id, model, user)

    def _route(self, tenant_id: str, model: str, user: str) -> Route:
        alias = self._aliases.newest(tenant_id, model) if ALIAS.fullmatch(model) else None
        if alias is None or alias.model is None:
            return Route(self._found(tenant_id, model))
        chosen = alias.canary if _share(alias, user) < alias.canary_weight else None
        canary = self._target(tenant_id, chosen)
        target = canary or self._found(tenant_id, alias.model)
        shadow = self._target(tenant_id, alias.shadow)
        return Route(target, shadow, alias.name, "canary" if canary else "stable")

    def _found(self, tenant_id: str, model: str) -> Target:
        target = self._target(tenant_id, model)
        if target is None:
            raise _unknown(model)
        return target

    def _target(self, tenant_id: str, model: str | None) -> Target | None:
        if model is None or model == self._base.name:
            return self._base if model else None
        adapter = self._adapters.usable(tenant_id, model)
        if adapter is None:
            return None
        return Target(adapter.model, self._folder(adapter), adapter.tenant_id)

    def _folder(self, adapter: Adapter) -> Path:
        try:
            return self._folders.path(adapter.adapter_id, adapter.version)
        except AdapterError as error:
            log.error("registered adapter has no files", adapter_id=adapter.adapter_id)
            raise _unknown(adapter.model) from error


def _share(alias: AliasRevision, user: str) -> float:
    """Where a user lies between 0 and 1, the same for all revisions of an alias."""
    who = f"{alias.tenant_id}\0{alias.name}\0{user or secrets.token_hex(8)}"
    return int.from_bytes(hashlib.sha256(who.encode()).digest()[:8]) / 2**64


def _unknown(model: str) -> NotFound:
    return NotFound(
        f"The model {model[:200]!r} does not exist. GET /v1/models lists what does.",
        code="model_not_found",
        param="model",
    )

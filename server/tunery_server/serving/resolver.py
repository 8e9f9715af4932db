"""From the ``model`` of a request to what the engine calls it."""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tunery_adapters.errors import AdapterError
from tunery_server.errors import NotFound
from tunery_server.records.rows import Adapter
from tunery_server.telemetry.logging import get_logger

log = get_logger(__name__)

_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,512}")
"""Of an adapter, perhaps. No other text gets as far as the record."""


@dataclass(frozen=True, slots=True)
class Target:
    """What answers. ``folder`` is None for the base model, which is always resident."""

    name: str
    folder: Path | None

    @property
    def kind(self) -> str:
        """``base`` or ``adapter``, for metrics."""
        return "base" if self.folder is None else "adapter"


class AdapterLookup(Protocol):
    """The registry, as far as serving needs it."""

    def usable(self, tenant_id: str, model: str) -> Adapter | None:
        """A version that is ready and that the tenant owns, or has a permission for."""


class AdapterFolders(Protocol):
    """The adapter store, as far as serving needs it."""

    def path(self, adapter_id: str, version: int) -> Path:
        """The folder of a published version."""


class Resolver:
    """Names to targets. What is another tenant's, and not permitted, does not exist."""

    def __init__(
        self, *, base_model: str, adapters: AdapterLookup, folders: AdapterFolders
    ) -> None:
        self._base = Target(base_model, None)
        self._adapters = adapters
        self._folders = folders

    async def resolve(self, tenant_id: str, model: str) -> Target:
        """The target of ``model``. Raises NotFound."""
        if model == self._base.name:
            return self._base
        if not _NAME.fullmatch(model):
            raise _unknown(model)
        adapter = await asyncio.to_thread(self._adapters.usable, tenant_id, model)
        if adapter is None:
            raise _unknown(model)
        return Target(adapter.model, self._folder(adapter))

    def _folder(self, adapter: Adapter) -> Path:
        try:
            return self._folders.path(adapter.adapter_id, adapter.version)
        except AdapterError as error:
            log.error("registered adapter has no files", adapter_id=adapter.adapter_id)
            raise _unknown(adapter.model) from error


def _unknown(model: str) -> NotFound:
    return NotFound(
        f"The model {model[:200]!r} does not exist. GET /v1/models lists what does.",
        code="model_not_found",
        param="model",
    )

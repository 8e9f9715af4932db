"""What one tenant may name in a request, and taking it out of service."""

from collections.abc import Callable, Mapping
from typing import Protocol

from tunery_server.errors import EngineUnavailable, InvalidRequest, NotFound
from tunery_server.records.rows import Adapter, Page
from tunery_server.serving.residency import Residency


class AdapterRegistry(Protocol):
    """The record of adapters."""

    def get(self, tenant_id: str, model: str) -> Adapter | None:
        """A version that is ready and belongs to the tenant."""

    def usable(self, tenant_id: str, model: str) -> Adapter | None:
        """A version that is ready and that the tenant owns, or has a permission for."""

    def list(
        self, tenant_id: str, *, after: str | None = None, limit: int = 10_000
    ) -> Page[Adapter]:
        """A page, newest first; InvalidRequest when ``after`` is not in the list."""

    def retire(self, tenant_id: str, model: str, now: float) -> Adapter | None:
        """Stop serving a version; None when there is none."""


class AliasLookup(Protocol):
    """The record of aliases, as far as a catalogue needs it."""

    def pointing_to(self, tenant_id: str, model: str) -> tuple[str, ...]:
        """Names of the tenant's aliases that use a model in any way."""

    def leading(self, tenant_id: str) -> dict[str, tuple[str, ...]]:
        """Names of the tenant's aliases by the models that answer for them."""


class Catalogue:
    """A tenant's adapters beside the base model. Blocking, but for :meth:`retire`."""

    def __init__(
        self,
        *,
        base_model: str,
        started_at: float,
        adapters: AdapterRegistry,
        aliases: AliasLookup,
        residency: Residency,
        clock: Callable[[], float],
    ) -> None:
        self.base_model = base_model
        self.started_at = started_at
        self._adapters = adapters
        self._aliases = aliases
        self._residency = residency
        self._clock = clock

    def adapters(
        self, tenant_id: str, *, after: str | None = None, limit: int = 10_000
    ) -> Page[Adapter]:
        """Newest first. Raises InvalidRequest when ``after`` names none."""
        return self._adapters.list(tenant_id, after=after, limit=limit)

    def adapter(self, tenant_id: str, model: str) -> Adapter:
        """One of the tenant's adapters by its public name. Raises NotFound."""
        return _found(self._adapters.get(tenant_id, model), model)

    def usable(self, tenant_id: str, model: str) -> Adapter:
        """An adapter that the tenant owns, or has a permission for. Raises NotFound."""
        return _found(self._adapters.usable(tenant_id, model), model)

    def residency(self, adapter: Adapter) -> str:
        """``loaded``, ``loading`` or ``unloaded``."""
        return self._residency.state(adapter.model)

    def base_residency(self) -> str:
        """The same of the base model, which is loaded for as long as the engine answers."""
        return "loaded" if self._residency.ready else "unloaded"

    def aliases(self, tenant_id: str) -> Mapping[str, tuple[str, ...]]:
        """Names that the tenant gave, by the models that answer for them."""
        return self._aliases.leading(tenant_id)

    def retire(self, tenant_id: str, model: str) -> Adapter:
        """Stop serving an adapter.

        Raises NotFound, and InvalidRequest for the base model or what an alias leads to. NotFound
        comes first: an alias may lead to another tenant's, which is not there to be deleted.
        """
        if model == self.base_model:
            raise InvalidRequest("The base model cannot be deleted.", param="model")
        self.adapter(tenant_id, model)
        if names := self._aliases.pointing_to(tenant_id, model):
            raise InvalidRequest(
                f"The alias {names[0]!r} leads to it. Move or delete that first.", param="model"
            )
        return _found(self._adapters.retire(tenant_id, model, self._clock()), model)

    async def unload(self, adapter: Adapter) -> None:
        """Free what a retired adapter took in the engine, once no request uses it.

        Nothing happens while the engine does not answer.
        """
        try:
            await self._residency.forget(adapter.model)
        except EngineUnavailable:
            return


def _found(adapter: Adapter | None, model: str) -> Adapter:
    if adapter is None:
        raise NotFound(
            f"The model {model[:200]!r} does not exist.", code="model_not_found", param="model"
        )
    return adapter

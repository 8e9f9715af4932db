"""Going on from an adapter: which one, and the shape that it gives to the new one."""

from typing import Protocol

from tunery_adapters.spec import LoraSpec
from tunery_server.errors import InvalidRequest, NotFound
from tunery_server.jobs.request import JobRequest
from tunery_server.records.rows import Adapter


class AdapterLookup(Protocol):
    """The registry, as far as jobs need it."""

    def get(self, tenant_id: str, model: str) -> Adapter | None:
        """A version that is ready and belongs to the tenant."""


class Lineage:
    """Turns the ``model`` of a request into the adapter that training goes on from, or none."""

    def __init__(self, *, base_model: str, adapters: AdapterLookup) -> None:
        self.base_model = base_model
        self._adapters = adapters

    def parent(self, tenant_id: str, model: str) -> Adapter | None:
        """None for the base model. Raises NotFound for what is neither it nor the tenant's own."""
        if model == self.base_model:
            return None
        adapter = self._adapters.get(tenant_id, model)
        if adapter is None or adapter.base_model != self.base_model:
            raise NotFound(
                f"The model {model[:200]!r} does not exist or cannot be fine-tuned. "
                f"This server fine-tunes {self.base_model!r} and your own adapters of it.",
                code="model_not_found",
                param="model",
            )
        return adapter


def lora_of(request: JobRequest, parent: Adapter | None) -> LoraSpec:
    """The shape asked for, or the parent's. Raises InvalidRequest where the two contradict."""
    if parent is None:
        return request.lora
    shape = {
        "rank": parent.rank,
        "alpha": parent.alpha,
        "target_modules": parent.target_modules,
    }
    for name in shape.keys() & set(request.lora_given):
        if _shown(getattr(request.lora, name)) != _shown(shape[name]):
            raise InvalidRequest(
                f"The adapter that the job goes on from has {_shown(shape[name])}; leave it out.",
                param=f"lora.{name}",
            )
    return request.lora.model_copy(update=shape)


def _shown(value: object) -> str:
    return ", ".join(sorted(value)) if isinstance(value, tuple) else str(value)

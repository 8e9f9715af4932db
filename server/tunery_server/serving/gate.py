"""Whether a candidate is better than what an alias leads to."""

import asyncio
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from tunery_server.errors import InvalidRequest
from tunery_server.records.rows import Adapter, Job
from tunery_server.serving.catalogue import Catalogue
from tunery_server.serving.held_out import HeldOut

_LOSS = "loss"
"""Metrics whose names end so are better when they are lower, all others when they are higher."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What has to be better, and by how much.

    With a file the engine measures both on its first ``rows`` rows; without one ``metric`` is
    compared as training recorded it.
    """

    file_id: str | None
    rows: int
    metric: str
    margin: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a gate found. ``passed``: the candidate is better by the margin or more."""

    metric: str
    file_id: str | None
    rows: int | None
    margin: float
    current_model: str
    current: float
    candidate_model: str
    candidate: float
    passed: bool

    def shown(self) -> dict[str, Any]:
        """As it is stored."""
        return asdict(self)


class JobLookup(Protocol):
    """The record of jobs, as far as a gate needs it."""

    def get(self, tenant_id: str, job_id: str) -> Job | None:
        """The job, or None when this tenant has none with that id."""


class Gatekeeper:
    """Compares two models of one tenant."""

    def __init__(self, *, catalogue: Catalogue, jobs: JobLookup, held_out: HeldOut) -> None:
        self._catalogue = catalogue
        self._jobs = jobs
        self._held_out = held_out

    async def compare(self, tenant_id: str, gate: Gate, current: str, candidate: str) -> Comparison:
        """Measure both. Raises InvalidRequest for what cannot be compared, and NotFound."""
        if gate.file_id is None:
            metric, rows = gate.metric, None
            values = await asyncio.to_thread(self._recorded, tenant_id, gate, current, candidate)
        else:
            metric = _LOSS
            rows, values = await self._measured(tenant_id, gate, current, candidate)
        gain = values[0] - values[1] if metric.endswith(_LOSS) else values[1] - values[0]
        return Comparison(
            metric=metric,
            file_id=gate.file_id,
            rows=rows,
            margin=gate.margin,
            current_model=current,
            current=values[0],
            candidate_model=candidate,
            candidate=values[1],
            passed=gain >= gate.margin and gain > 0,
        )

    async def _measured(
        self, tenant_id: str, gate: Gate, current: str, candidate: str
    ) -> tuple[int, tuple[float, float]]:
        assert gate.file_id is not None  # noqa: S101 - the caller looked
        rows = await asyncio.to_thread(self._held_out.rows, tenant_id, gate.file_id, gate.rows)
        first = await self._held_out.loss(tenant_id, current, rows)
        return len(rows), (first, await self._held_out.loss(tenant_id, candidate, rows))

    def _recorded(
        self, tenant_id: str, gate: Gate, current: str, candidate: str
    ) -> tuple[float, float]:
        adapters = [self._adapter(tenant_id, model) for model in (current, candidate)]
        files = {self._validation_file(tenant_id, adapter) for adapter in adapters}
        if None in files or len(files) > 1:
            raise InvalidRequest(
                "gate: the two were not measured on the same validation file. Give 'file_id'.",
                param="gate",
            )
        first, second = (_metric(adapter, gate.metric) for adapter in adapters)
        return first, second

    def _adapter(self, tenant_id: str, model: str) -> Adapter:
        if model == self._catalogue.base_model:
            raise InvalidRequest(
                "gate: the base model was not trained. Give 'file_id'.", param="gate"
            )
        return self._catalogue.usable(tenant_id, model)

    def _validation_file(self, tenant_id: str, adapter: Adapter) -> str | None:
        job = self._jobs.get(tenant_id, adapter.job_id) if adapter.job_id else None
        return job.validation_file if job else None


def _metric(adapter: Adapter, name: str) -> float:
    if name not in adapter.metrics:
        known = ", ".join(sorted(adapter.metrics)) or "nothing"
        raise InvalidRequest(
            f"gate.metric: {name!r} was not recorded for {adapter.model}, but {known}.",
            param="gate.metric",
        )
    return float(adapter.metrics[name])

"""From a trainer's folder to an adapter that can be registered: check, publish, load."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from tunery_adapters.base_files import BaseFiles
from tunery_adapters.errors import (
    AdapterError,
    AdapterExistsError,
    AdapterNotFoundError,
    BaseModelAbsentError,
    InvalidAdapterError,
)
from tunery_adapters.manifest import Provenance
from tunery_adapters.reports import Finished
from tunery_adapters.store import AdapterStore, Published
from tunery_server import __version__
from tunery_server.engine.contract import Engine
from tunery_server.errors import EngineRefused, EngineUnavailable
from tunery_server.jobs.names import checkpoint_name, model_name
from tunery_server.records.adapters import AdapterRecords, registered
from tunery_server.records.rows import Adapter, Job
from tunery_server.worker.trainer import TrainerFailed

_IDENTITY_CHARS = 16
_VERSION = 1
_RETRY_S = 0.5
_LIBRARIES = ("torch", "transformers", "peft", "safetensors", "bitsandbytes")
"""What has a say in the weights that come out of a training."""


class Publisher:
    """Publishes what one job makes. Names follow from the job, so that a repeat changes nothing."""

    def __init__(
        self,
        *,
        store: AdapterStore,
        adapters: AdapterRecords,
        engine: Engine,
        base: BaseFiles,
        organization: str,
        load_timeout_s: float,
        clock: Callable[[], float],
        timer: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._adapters = adapters
        self._engine = engine
        self._base = base
        self._organization = organization
        self._load_timeout_s = load_timeout_s
        self._clock = clock
        self._timer = timer
        self._sleep = sleep

    def final_model(self, job: Job) -> str:
        """The name that the finished adapter will bear."""
        identity = job.id.rpartition("-")[2][:_IDENTITY_CHARS]
        return model_name(job.model, self._organization, job.suffix, identity)

    def parent(self, job: Job) -> Path | None:
        """The folder of the adapter that the job goes on from, if it does, after a check; blocking.

        Raises TrainerFailed when it is gone or damaged.
        """
        if job.parent is None:
            return None
        adapter = self._adapters.get(job.tenant_id, job.parent)
        if adapter is None:
            raise TrainerFailed("model_not_found", f"{job.parent} was deleted.", "model")
        try:
            self._store.verify(adapter.adapter_id, adapter.version)
            return self._store.path(adapter.adapter_id, adapter.version)
        except AdapterError as error:
            raise TrainerFailed(
                "invalid_adapter", f"{job.parent} cannot be gone on from: {error}.", "model"
            ) from error

    def publish(
        self,
        job: Job,
        folder: Path,
        *,
        step: int,
        dataset_sha256: str,
        metrics: dict[str, float],
        checkpoint: bool,
        work: Finished | None = None,
    ) -> Adapter:
        """Publish one folder; blocking. Nobody sees it until the record names it.

        Raises TrainerFailed when the adapter cannot be served.
        """
        adapter_id, model = _adapter_id(job), self.final_model(job)
        provenance = Provenance(
            adapter_id=f"{adapter_id}-step-{step}" if checkpoint else adapter_id,
            version=_VERSION,
            model=checkpoint_name(model, step) if checkpoint else model,
            base_model=job.model,
            base_sha256=self.base_sha256(),
            tenant_id=job.tenant_id,
            job_id=job.id,
            parent=job.parent,
            step=step,
            created_at=datetime.fromtimestamp(self._clock(), UTC),
            training_file=job.training_file,
            dataset_sha256=dataset_sha256,
            validation_file=job.validation_file,
            settings={
                **job.hyperparameters,
                "seed": job.seed,
                "lora": job.lora,
                "training": job.training,
            },
            metrics=metrics,
            trained_tokens=work.trained_tokens if work else None,
            training_s=work.training_s if work else None,
            energy_j=work.energy_j if work else None,
            libraries=dict(_versions()),
        )
        return registered(self._publish(folder, provenance).manifest)

    def withdraw(self, job: Job) -> None:
        """Remove the final version of a job that did not succeed, if there is one; blocking."""
        with contextlib.suppress(AdapterNotFoundError):
            self._store.delete(_adapter_id(job), _VERSION)

    def sweep(self) -> None:
        """Remove what publishers that were killed have left; blocking."""
        self._store.sweep()

    def base_sha256(self) -> str | None:
        """Of the base model, once its files are there. Takes long the first time; blocking."""
        try:
            return self._base.sha256()
        except BaseModelAbsentError:
            return None

    async def load(self, adapter: Adapter) -> bool:
        """Load into the engine, waiting for one that is starting; False when it stays away.

        Raises TrainerFailed when its files are damaged or the engine cannot use them.
        """
        await asyncio.to_thread(self._verify, adapter)
        folder = self._store.path(adapter.adapter_id, adapter.version)
        deadline = self._timer() + self._load_timeout_s
        while True:
            try:
                await self._engine.load(adapter.model, folder)
                return True
            except EngineRefused as error:
                raise TrainerFailed(
                    "adapter_refused", "The engine cannot serve this adapter."
                ) from error
            except EngineUnavailable:
                if self._timer() >= deadline:
                    return False
                await self._sleep(_RETRY_S)

    def _verify(self, adapter: Adapter) -> None:
        try:
            self._store.verify(adapter.adapter_id, adapter.version)
        except AdapterError as error:
            raise TrainerFailed("invalid_adapter", f"The adapter was damaged: {error}.") from error

    def _publish(self, folder: Path, provenance: Provenance) -> Published:
        try:
            return self._store.publish(folder, provenance)
        except InvalidAdapterError as error:
            raise TrainerFailed(
                "invalid_adapter", f"The adapter cannot be served: {error}"
            ) from error
        except AdapterExistsError:
            # An earlier attempt published this name before it was lost: that version stands.
            path = self._store.path(provenance.adapter_id, provenance.version)
            return Published(path, self._store.verify(provenance.adapter_id, provenance.version))


def _adapter_id(job: Job) -> str:
    return f"ad-{job.id.rpartition('-')[2]}"


def _versions() -> Iterator[tuple[str, str]]:
    yield "tunery", __version__
    for name in _LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            yield name, metadata.version(name)

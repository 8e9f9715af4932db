"""``/v1/models`` and ``/v1/adapters``."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from tunery_adapters.manifest import Imported, Manifest
from tunery_server.gateway.protocol.base import Answer, Deleted, Listed, PlainText, Request
from tunery_server.records.rows import Adapter
from tunery_server.registry.imports import ImportRequest

_Suffix = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
_Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Model(Answer):
    """What can be named in a request. ``parent`` and ``version`` are None for the base model.

    ``aliases`` are the caller's own. ``residency`` is the engine's: ``loaded``, ``loading`` or
    ``unloaded``.
    """

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    shutdown_date: None = None
    parent: str | None = None
    job_id: str | None = None
    version: int | None = None
    aliases: tuple[str, ...] = ()
    residency: str
    pinned: bool = False

    @classmethod
    def of(
        cls, adapter: Adapter, caller: str, *, aliases: tuple[str, ...], residency: str
    ) -> "Model":
        """An adapter as a model; whence it came is told to the tenant whose it is.

        ``parent`` is the adapter that it goes on from, or else its base model.
        """
        own = adapter.tenant_id == caller
        return cls(
            id=adapter.model,
            created=int(adapter.created_at),
            owned_by=adapter.tenant_id,
            parent=(adapter.parent if own else None) or adapter.base_model,
            job_id=adapter.job_id if own else None,
            version=adapter.version,
            aliases=aliases,
            residency=residency,
            pinned=adapter.pinned,
        )


class ModelDeleted(Deleted):
    """The answer to a DELETE."""

    object: Literal["model"] = "model"


class ModelList(Answer):
    """All models of a tenant; OpenAI's list has no pages."""

    object: Literal["list"] = "list"
    data: tuple[Model, ...]


class AdapterDeleted(Deleted):
    """The answer to a DELETE."""

    object: Literal["adapter"] = "adapter"


class AdapterObject(Answer):
    """An adapter. ``residency`` is the engine's: ``loaded``, ``loading`` or ``unloaded``.

    One that is ``pinned`` stays there.
    """

    id: str
    object: Literal["adapter"] = "adapter"
    model: str
    version: int
    base_model: str
    parent: str | None
    job_id: str | None
    step: int | None
    created_at: int
    status: str
    residency: str
    pinned: bool
    rank: int
    alpha: float
    target_modules: tuple[str, ...]
    bytes: int
    sha256: str
    metrics: dict[str, float]

    @classmethod
    def of(cls, adapter: Adapter, residency: str) -> "AdapterObject":
        """From its record and what the engine holds."""
        return cls(
            id=adapter.adapter_id,
            model=adapter.model,
            version=adapter.version,
            base_model=adapter.base_model,
            parent=adapter.parent,
            job_id=adapter.job_id,
            step=adapter.step,
            created_at=int(adapter.created_at),
            status=adapter.status,
            residency=residency,
            pinned=adapter.pinned,
            rank=adapter.rank,
            alpha=adapter.alpha,
            target_modules=adapter.target_modules,
            bytes=adapter.bytes,
            sha256=adapter.sha256,
            metrics=adapter.metrics,
        )


class Provenance(Answer):
    """Where an adapter comes from, as its manifest tells; null is not known."""

    base_sha256: str | None
    training_file: str | None
    dataset_sha256: str | None
    validation_file: str | None
    settings: Mapping[str, Any]
    trained_tokens: int | None
    training_s: float | None
    energy_j: float | None
    libraries: Mapping[str, str]
    imported: Imported | None

    @classmethod
    def of(cls, manifest: Manifest) -> "Provenance":
        """From what lies beside the weights."""
        return cls(**{name: getattr(manifest, name) for name in cls.model_fields})


class DescribedAdapter(AdapterObject):
    """One adapter with all that is known of it."""

    provenance: Provenance

    @classmethod
    def described(cls, adapter: Adapter, residency: str, manifest: Manifest) -> "DescribedAdapter":
        """From its record, what the engine holds, and its manifest."""
        known = AdapterObject.of(adapter, residency).model_dump()
        return cls(**known, provenance=Provenance.of(manifest))


class ImportAdapter(Request):
    """An adapter that was trained elsewhere, as an uploaded archive."""

    file: PlainText = Field(min_length=1, max_length=128)
    suffix: _Suffix | None = None
    sha256: _Digest | None = None

    def request(self) -> ImportRequest:
        """What the import takes."""
        return ImportRequest(file=self.file, suffix=self.suffix, sha256=self.sha256)


class AdapterList(Listed[AdapterObject]):
    """A page of adapters."""

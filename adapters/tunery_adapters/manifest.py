"""The manifest beside a published adapter: what it is, whence it came, what it hashes to."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MANIFEST = "manifest.json"

SAFE_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
"""An id that is a folder's name too: no separator, no leading dot."""

SafeId = Annotated[str, StringConstraints(pattern=SAFE_ID)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Imported(_Frozen):
    """The file that an adapter was brought in."""

    file_id: str
    filename: str
    sha256: Sha256


class Provenance(_Frozen):
    """What the publisher knows of an adapter version and the files cannot tell."""

    adapter_id: SafeId
    version: int = Field(ge=1)
    model: str
    """The public name, such as ``ft:smollm2-135m-instruct:org:suffix:abc123``."""
    base_model: str
    """The canonical id of the base model, never a path."""
    base_sha256: Sha256 | None = None
    """Of what ``sha256sum config.json *.safetensors`` says in the base model's folder."""
    tenant_id: str
    parent: str | None = None
    """The adapter that its training went on from, by its public name."""
    job_id: str | None = None
    step: int | None = None
    created_at: datetime
    imported: Imported | None = None
    """None for what was trained here."""
    training_file: str | None = None
    dataset_sha256: Sha256 | None = None
    validation_file: str | None = None
    settings: Mapping[str, Any] = {}
    metrics: Mapping[str, Any] = {}
    trained_tokens: int | None = None
    """Tokens under the loss, over all epochs."""
    training_s: float | None = None
    """From the loaded base model to the end, over all attempts, less what was done again."""
    energy_j: float | None = None
    """Of the device in that time; None where it has no counter."""
    libraries: Mapping[str, str] = {}
    """Versions of what trained it, by distribution."""


class FileRecord(_Frozen):
    """One published file."""

    sha256: Sha256
    bytes: int = Field(ge=0)


class Manifest(Provenance):
    """Everything about one published version; the hashes bind it to its files."""

    schema_version: Literal[1] = 1
    rank: int = Field(ge=1)
    alpha: float = Field(gt=0)
    target_modules: tuple[str, ...]
    files: Mapping[str, FileRecord]

"""A manifest says one thing and cannot be changed."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from tunery_adapters.manifest import FileRecord, Manifest

FIELDS: dict[str, Any] = {
    "adapter_id": "adapter-1",
    "version": 1,
    "model": "ft:smollm2-135m-instruct:org:suffix:abc123",
    "base_model": "smollm2-135m-instruct",
    "tenant_id": "tenant-1",
    "created_at": datetime(2026, 11, 23, tzinfo=UTC),
    "rank": 8,
    "alpha": 16.0,
    "target_modules": ("q_proj",),
    "files": {"adapter_model.safetensors": FileRecord(sha256="0" * 64, bytes=3)},
}


def test_it_survives_its_own_file_format() -> None:
    manifest = Manifest(**FIELDS)
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest


def test_it_is_frozen() -> None:
    with pytest.raises(ValidationError):
        Manifest(**FIELDS).rank = 9


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("adapter_id", "../x"),
        ("adapter_id", ".hidden"),
        ("adapter_id", "a/b"),
        ("adapter_id", "x" * 129),
        ("adapter_id", "a\n"),
        ("version", 0),
        ("schema_version", 2),
        ("files", {"a": {"sha256": "xyz", "bytes": 1}}),
        ("unknown", 1),
    ],
)
def test_what_cannot_be_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        Manifest(**{**FIELDS, field: value})

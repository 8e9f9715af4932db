"""A card says what the manifest says, and no text of a client's becomes anything else."""

from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from tunery_adapters.card import card
from tunery_adapters.manifest import FileRecord, Imported, Manifest

WEIGHTS = FileRecord(sha256="a" * 64, bytes=10)


def manifest(**changes: Any) -> Manifest:
    known: dict[str, Any] = {
        "adapter_id": "ad-1",
        "version": 1,
        "model": "ft:base:org:support:1",
        "base_model": "base",
        "tenant_id": "acme",
        "created_at": datetime(2026, 11, 23, tzinfo=UTC),
        "rank": 8,
        "alpha": 16.0,
        "target_modules": ("q_proj",),
        "files": {"adapter_model.safetensors": WEIGHTS},
    }
    return Manifest(**{**known, **changes})


def test_what_is_known_is_told_and_what_is_not_is_left_out() -> None:
    text = card(
        manifest(
            parent="ft:base:org::0",
            settings={"n_epochs": 3, "lora": {"rank": 8, "dropout": None}},
            metrics={"train_loss": 0.25},
            trained_tokens=1234,
            training_s=12.34,
            energy_j=4321.4,
            libraries={"torch": "2.13.0"},
        )
    )
    for row in (
        "| parent | ft:base:org::0 |",
        "| n_epochs | 3 |",
        "| lora.rank | 8 |",
        "| train_loss | 0.25 |",
        "| trained tokens | 1234 |",
        "| training time | 12.3 s |",
        "| device energy | 4321 J |",
        "| torch | 2.13.0 |",
    ):
        assert row in text
    assert "None" not in text
    assert "dropout" not in text
    assert "Metrics" not in card(manifest())


def test_the_header_is_a_hubs() -> None:
    _, header, _ = card(manifest()).split("---\n", 2)
    assert yaml.safe_load(header) == {
        "base_model": "base",
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["lora", "base_model:adapter:base"],
    }


@pytest.mark.parametrize(
    "hostile", ['x\n---\ntags: ["y"]', "a: b", "<script>", "[a](b)", "`x`", "| x |", "\u2028#"]
)
def test_hostile_text_stays_text(hostile: str) -> None:
    imported = Imported(file_id="file-1", filename=hostile, sha256="b" * 64)
    text = card(manifest(base_model=hostile, imported=imported, settings={hostile: hostile}))
    _, header, body = text.split("---\n", 2)
    assert yaml.safe_load(header)["base_model"] == hostile
    assert len(yaml.safe_load(header)) == 4
    usual = card(
        manifest(imported=imported.model_copy(update={"filename": "x"}), settings={"x": 1})
    )
    assert len(body.splitlines()) == len(usual.split("---\n", 2)[2].splitlines())
    for mark in "<>[]":
        assert mark not in body

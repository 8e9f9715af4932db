"""The card of an adapter: what is known of it, as the README.md of a model hub's folder.

The header is YAML as hubs read it (Hugging Face, "Model Cards"); its values are written as JSON,
which is YAML, so that no text of a client's can become a key.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tunery_adapters.manifest import Manifest
from tunery_adapters.peft_files import WEIGHTS


def card(manifest: Manifest) -> str:
    """Markdown with a YAML header; the same text for the same manifest."""
    parts = (
        _header(manifest),
        f"# {_plain(manifest.model)}\n",
        f"A LoRA adapter of {_code(manifest.base_model)}, rank {manifest.rank}, "
        f"alpha {manifest.alpha:g}, on {', '.join(map(_code, manifest.target_modules))}.\n",
        _usage(manifest),
        _table("Where it comes from", dict(_origin(manifest))),
        _table("Settings", _flat(manifest.settings)),
        _table("Metrics", manifest.metrics),
        _table("Libraries", manifest.libraries),
    )
    return "\n".join(part for part in parts if part)


def _header(manifest: Manifest) -> str:
    fields = {
        "base_model": manifest.base_model,
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["lora", "base_model:adapter:" + manifest.base_model],
    }
    lines = (f"{name}: {json.dumps(value)}\n" for name, value in fields.items())
    return f"---\n{''.join(lines)}---\n"


def _usage(manifest: Manifest) -> str:
    return (
        "```python\n"
        "from peft import AutoPeftModelForCausalLM\n\n"
        'model = AutoPeftModelForCausalLM.from_pretrained("path/to/this/folder")\n'
        "```\n\n"
        f"`adapter_config.json` names the base model {_code(manifest.base_model)}; "
        "put the folder or the hub id there that it has where you load it.\n"
    )


def _origin(manifest: Manifest) -> Iterator[tuple[str, object]]:
    imported = manifest.imported
    known = {
        "base model's sha256": manifest.base_sha256,
        "parent": manifest.parent,
        "fine-tuning job": manifest.job_id,
        "step": manifest.step,
        "training file": manifest.training_file,
        "training file's sha256": manifest.dataset_sha256,
        "validation file": manifest.validation_file,
        "trained tokens": manifest.trained_tokens,
        "training time": None if manifest.training_s is None else f"{manifest.training_s:.1f} s",
        "device energy": None if manifest.energy_j is None else f"{manifest.energy_j:.0f} J",
        "imported from": imported.filename if imported else None,
        "imported file's sha256": imported.sha256 if imported else None,
        "made at": manifest.created_at.isoformat(timespec="seconds"),
        "weights' sha256": manifest.files[WEIGHTS].sha256,
    }
    yield from ((name, value) for name, value in known.items() if value is not None)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        elif value is not None:
            flat[f"{prefix}{name}"] = value
    return flat


def _table(title: str, rows: Mapping[str, object]) -> str:
    if not rows:
        return ""
    lines = "".join(f"| {_plain(name)} | {_plain(value)} |\n" for name, value in rows.items())
    return f"## {title}\n\n| | |\n|---|---|\n{lines}"


def _code(text: str) -> str:
    return f"`{_plain(text)}`"


def _plain(value: object) -> str:
    """One line without what Markdown, or HTML in it, would read."""
    text = value if isinstance(value, str) else json.dumps(value)
    shown = "".join(character if character.isprintable() else " " for character in text)
    return shown.translate(_MARKUP)


_MARKUP = str.maketrans(dict.fromkeys("|`<>[]", " "))

"""The base model's tokenizer, with its chat template. Needs no torch."""

import json
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from tunery_adapters.training.failures import InvalidModelError


def load_tokenizer(path: str, *, templated: bool = True) -> PreTrainedTokenizerBase:
    """Load the base model's tokenizer; it must carry a chat template if there are chats to render.

    Raises InvalidModelError.
    """
    refuse_remote_code(path)
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(path, **source(path))
    if templated and not tokenizer.chat_template:
        raise InvalidModelError("The base model has no chat template; train a chat model.", "model")
    return tokenizer


def source(path: str) -> dict[str, Any]:
    """How ``from_pretrained`` may get at a model: no code of its own, and no network for a folder.

    ``path`` is a folder or a hub id.
    """
    return {"trust_remote_code": False, "local_files_only": Path(path).is_dir()}


def refuse_remote_code(path: str) -> None:
    """Raise InvalidModelError for a folder whose model needs code of its own."""
    for name in ("config.json", "tokenizer_config.json"):
        file = Path(path) / name
        if file.is_file() and "auto_map" in json.loads(file.read_bytes()):
            raise InvalidModelError("The base model needs code of its own to run.", "model")

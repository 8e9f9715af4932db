"""Where the hub's client keeps the models that it has fetched."""

import os
from collections.abc import Mapping
from pathlib import Path


def model_folder(path: str, environment: Mapping[str, str] = os.environ) -> Path | None:
    """The folder of a base model: ``path`` itself, or where the hub's client keeps that id.

    None when it is not on this machine. The layout is the cache's of huggingface_hub
    (``models--owner--name/snapshots/<revision>``, ``refs/main``).
    """
    if Path(path).is_dir():
        return Path(path)
    cached = _hub_cache(environment) / f"models--{path.replace('/', '--')}"
    try:
        revision = (cached / "refs" / "main").read_text().strip()
    except OSError:
        return None
    folder = cached / "snapshots" / revision
    return folder if folder.is_dir() else None


def _hub_cache(environment: Mapping[str, str]) -> Path:
    if given := environment.get("HF_HUB_CACHE"):
        return Path(given)
    home = environment.get("HF_HOME")
    cache = environment.get("XDG_CACHE_HOME") or "~/.cache"
    return (Path(home) if home else Path(cache).expanduser() / "huggingface") / "hub"

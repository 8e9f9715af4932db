"""Whether a base model's folder has all that serving and training read, and no file cut off."""

import json
from collections.abc import Iterator
from pathlib import Path

_INDEX = "model.safetensors.index.json"
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
_LENGTH_BYTES = 8


def gaps(folder: Path) -> Iterator[str]:
    """What is missing or damaged, one phrase each; reads headers alone, whatever the size."""
    if (fault := _unreadable(folder / "config.json")) is not None:
        yield fault
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        yield f"there is no tokeniser ({', '.join(_TOKENIZERS)})"
    yield from _weight_gaps(folder)


def _weight_gaps(folder: Path) -> Iterator[str]:
    names = {file.name for file in folder.glob("*.safetensors")}
    if (folder / _INDEX).exists():
        try:
            names |= set(json.loads((folder / _INDEX).read_bytes())["weight_map"].values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            yield f"{_INDEX} cannot be read"
    if not names:
        yield "there are no weights (*.safetensors)"
    for name in sorted(names):
        if not (folder / name).is_file():
            yield f"{name} is missing"
        elif not _is_whole(folder / name):
            yield f"{name} is cut off"


def _unreadable(file: Path) -> str | None:
    try:
        json.loads(file.read_bytes())
    except FileNotFoundError:
        return f"{file.name} is missing"
    except (OSError, ValueError):
        return f"{file.name} cannot be read"
    return None


def _is_whole(file: Path) -> bool:
    """The format's own layout (huggingface/safetensors, README, "Format"), of any dtype."""
    size = file.stat().st_size
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
            header = json.loads(stream.read(length)) if length <= size else {}
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name[:2] != "__"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return False
    return bool(ends) and size == _LENGTH_BYTES + length + max(ends)

"""An adapter as one file, to be sent; and out of one, into a folder as model hubs have them."""

import hashlib
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ._errors import TuneryError

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
CARD = "README.md"


@contextmanager
def packed(path: str | os.PathLike[str]) -> Iterator[tuple[str, IO[bytes]]]:
    """A name and the bytes of an archive: a file as it is, or the two files of a PEFT folder.

    Nothing else of a folder is sent. Raises FileNotFoundError.
    """
    source = Path(path)
    if not source.is_dir():
        with source.open("rb") as file:
            yield source.name, file
        return
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            for name in (CONFIG, WEIGHTS):
                archive.add((source / name).resolve(strict=True), name, filter=_anonymous)
        file.seek(0)
        yield f"{source.resolve().name}.tar", file


def unpack(archive: IO[bytes], folder: str | os.PathLike[str], *, sha256: str) -> tuple[Path, ...]:
    """Write the files of an exported adapter into ``folder``, made if need be; their paths.

    Raises TuneryError when the weights have another hash than ``sha256``.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    written = tuple(
        _written(content.read(), target / info.name)
        for info, content in _files(archive)
        if info.name in {CONFIG, WEIGHTS, CARD}
    )
    weights = target / WEIGHTS
    if weights not in written or _digest(weights) != sha256:
        raise TuneryError("the weights came damaged; download them again")
    return written


def _files(archive: IO[bytes]) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    with tarfile.open(fileobj=archive, mode="r:") as members:
        for info in members:
            content = members.extractfile(info) if info.isreg() else None
            if content is not None:
                yield info, content


def _written(content: bytes, path: Path) -> Path:
    path.write_bytes(content)
    return path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info

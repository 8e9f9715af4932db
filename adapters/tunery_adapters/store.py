"""Published adapters on a local disk: ``root/<adapter_id>/v<version>/``, never changed.

A version is whole or not there: it is written under ``root/.tmp-*``, synced, and renamed into
place. The engine keys its prefix cache by an adapter's name and path, so a path is never reused.
"""

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from tunery_adapters import fault
from tunery_adapters.base_files import BaseFiles
from tunery_adapters.durable import sync
from tunery_adapters.errors import (
    AdapterExistsError,
    AdapterNotFoundError,
    InvalidAdapterError,
)
from tunery_adapters.fault import Point
from tunery_adapters.integrity import manifest_in, record_of, verified
from tunery_adapters.manifest import MANIFEST, SAFE_ID, Manifest, Provenance
from tunery_adapters.peft_files import CONFIG, WEIGHTS, PeftFolder, inspect
from tunery_adapters.spec import RANKS_SERVED

_TEMPORARY = ".tmp-"
_READ_ONLY_FILE = 0o444
_READ_ONLY_FOLDER = 0o555
_WRITABLE_FOLDER = 0o755
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Published:
    """A version as it lies on disk; ``path`` is the PEFT folder that an engine loads."""

    path: Path
    manifest: Manifest


class AdapterStore:
    """Adapter versions under one folder. Several processes may publish to it at once."""

    def __init__(self, root: Path, *, max_rank: int = RANKS_SERVED[-1]) -> None:
        self._root = root
        self._max_rank = max_rank

    def publish(
        self, source: Path, provenance: Provenance, *, base: BaseFiles | None = None
    ) -> Published:
        """Check the PEFT folder ``source``, against ``base`` if given, and publish a clean copy.

        Nothing but the weights is copied: the configuration is written anew, so no path, no code
        reference and no stray file gets through. Publishing the same weights again returns what
        is there. Raises InvalidAdapterError, AdapterExistsError.
        """
        with self.scratch() as staged:
            manifest = self._stage(source, staged, provenance, base)
            return self._settle(staged, manifest)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """An empty folder beside the adapters, for the time of this context."""
        folder = self._root / f"{_TEMPORARY}{uuid4().hex}"
        self._root.mkdir(parents=True, exist_ok=True)
        with _locked(self._root, fcntl.LOCK_SH):
            folder.mkdir()
            try:
                yield folder
            finally:
                _remove(folder)

    def path(self, adapter_id: str, version: int) -> Path:
        """Return the folder of a published version; raises AdapterNotFoundError."""
        folder = self._folder(adapter_id, version)
        if not (folder / MANIFEST).is_file():
            raise AdapterNotFoundError(f"adapter {adapter_id} has no version {version}")
        return folder

    def manifest(self, adapter_id: str, version: int) -> Manifest:
        """Read a version's manifest; raises AdapterNotFoundError, AdapterDamagedError."""
        return manifest_in(self.path(adapter_id, version))

    def verify(self, adapter_id: str, version: int) -> Manifest:
        """Hash every file against the manifest; raises AdapterDamagedError naming the file."""
        return verified(self.path(adapter_id, version))

    def delete(self, adapter_id: str, version: int) -> None:
        """Remove a version: first out of sight by one rename, then its files.

        A reader that has them open reads on. Raises AdapterNotFoundError.
        """
        folder = self.path(adapter_id, version)
        doomed = self._root / f"{_TEMPORARY}{uuid4().hex}"
        with _locked(self._root, fcntl.LOCK_SH):
            folder.chmod(_WRITABLE_FOLDER)  # a folder that is moved has its ".." rewritten
            folder.rename(doomed)
            sync(folder.parent)
            with contextlib.suppress(OSError):  # another version is in it
                folder.parent.rmdir()
            _remove(doomed)

    def sweep(self) -> int:
        """Remove what killed publishes and deletes left behind; returns how many folders.

        Removes nothing while some process publishes or deletes: one of them may be its own.
        """
        if not any(self._leftovers()):
            return 0
        try:
            with _locked(self._root, fcntl.LOCK_EX | fcntl.LOCK_NB):
                leftovers = list(self._leftovers())
                for folder in leftovers:
                    _remove(folder)
                return len(leftovers)
        except BlockingIOError:
            return 0

    def published(self, before: float) -> Iterator[tuple[str, int]]:
        """Ids and versions that are there since before a Unix time."""
        for folder in self._root.glob("*/v*"):
            number = folder.name[1:]
            published = number.isdecimal() and not folder.parent.name.startswith(_TEMPORARY)
            if published and _written_at(folder) < before:
                yield folder.parent.name, int(number)

    def _stage(
        self, source: Path, staged: Path, provenance: Provenance, base: BaseFiles | None
    ) -> Manifest:
        # Copied before it is checked: the bytes that were judged are the bytes that are kept.
        for name in (CONFIG, WEIGHTS):
            _copy(source / name, staged / name)
        peft = inspect(staged, max_rank=self._max_rank, base=base)
        (staged / CONFIG).write_text(_clean_config(peft, provenance.base_model))
        manifest = Manifest(
            **dict(provenance),
            rank=peft.rank,
            alpha=peft.alpha,
            target_modules=peft.target_modules,
            files={name: record_of(staged / name) for name in (CONFIG, WEIGHTS)},
        )
        (staged / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
        return manifest

    def _settle(self, staged: Path, manifest: Manifest) -> Published:
        for file in staged.iterdir():
            sync(file)
            file.chmod(_READ_ONLY_FILE)
        sync(staged)
        folder = self._folder(manifest.adapter_id, manifest.version)
        fault.point(Point.ADAPTER_TMP_WRITTEN)
        folder.parent.mkdir(exist_ok=True)
        try:
            staged.rename(folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            return self._already(folder, manifest)
        fault.point(Point.ADAPTER_RENAMED)
        self._shut(folder)
        return Published(folder, manifest)

    def _already(self, folder: Path, manifest: Manifest) -> Published:
        there = self.manifest(manifest.adapter_id, manifest.version)
        if there.files != manifest.files:
            raise AdapterExistsError(
                f"{manifest.adapter_id} v{manifest.version} is published already"
            )
        self._shut(folder)  # whoever renamed it may have been killed before it came to that
        return Published(folder, there)

    def _shut(self, folder: Path) -> None:
        folder.chmod(_READ_ONLY_FOLDER)
        sync(folder.parent)
        sync(self._root)

    def _folder(self, adapter_id: str, version: int) -> Path:
        if not re.fullmatch(SAFE_ID, adapter_id) or version < 1:
            raise AdapterNotFoundError("no adapter has such an id or version")
        return self._root / adapter_id / f"v{version}"

    def _leftovers(self) -> Iterator[Path]:
        if self._root.is_dir():
            yield from (path for path in self._root.iterdir() if path.name.startswith(_TEMPORARY))


@contextlib.contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """Hold a lock on a folder, which ends with this process, too. May raise BlockingIOError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _clean_config(peft: PeftFolder, base_model: str) -> str:
    config = {
        "base_model_name_or_path": base_model,
        "bias": "none",
        "inference_mode": True,
        "lora_alpha": int(peft.alpha) if peft.alpha.is_integer() else peft.alpha,
        "peft_type": "LORA",
        "r": peft.rank,
        "target_modules": list(peft.target_modules),
        "task_type": "CAUSAL_LM",
        "use_rslora": peft.use_rslora,
    }
    return json.dumps(config, indent=2) + "\n"


def _copy(source: Path, target: Path) -> None:
    try:
        # O_NONBLOCK: a pipe planted under this name must not hold the publisher up.
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise InvalidAdapterError(f"{source.name} is missing", source.name) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InvalidAdapterError(f"{source.name} is not a file", source.name)
        with open(descriptor, "rb", closefd=False) as reading, target.open("xb") as writing:
            shutil.copyfileobj(reading, writing, _CHUNK_BYTES)
    finally:
        os.close(descriptor)


def _written_at(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:  # another process was faster
        return float("inf")


def _remove(folder: Path) -> None:
    if folder.is_dir():
        folder.chmod(_WRITABLE_FOLDER)
    shutil.rmtree(folder, ignore_errors=True)

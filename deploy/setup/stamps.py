"""What was set up, so that the next run knows without asking anyone.

A stamp is a file in the virtual environment that holds a digest of all that a step was made from.
It is written after the step and is gone before the step is redone, so that a run which was cut
off leaves no stamp and is repaired by the next.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tomllib
from pathlib import Path


class Stamp:
    """One step's stamp."""

    def __init__(self, path: Path, digest: str) -> None:
        self._path = path
        self._digest = digest

    def holds(self) -> bool:
        """Whether the step was done, from exactly the same parts."""
        try:
            return self._path.read_text() == self._digest
        except OSError:
            return False

    def remove(self) -> None:
        """Say that the step is no longer done."""
        self._path.unlink(missing_ok=True)

    def write(self) -> None:
        """Say that the step is done."""
        self._path.write_text(self._digest)


def environment_digest(root: Path, device: str) -> str:
    """Digest of the interpreter, the device, the place, the locks and the installer."""
    sources = [*sorted(root.glob("requirements/*.txt")), *sorted(root.glob("deploy/setup/*.py"))]
    digest = hashlib.sha256(f"{sys.version}\n{sys.executable}\n{device}\n{root}\n".encode())
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()


def distributions_digest(root: Path, environment: str) -> str:
    """Digest of those tables of our pyprojects that an editable install is made from."""
    digest = hashlib.sha256(environment.encode())
    for folder in (root, root / "clients" / "python"):
        project = tomllib.loads((folder / "pyproject.toml").read_text())
        parts = [project["project"], project["build-system"], project["tool"]["hatch"]]
        digest.update(json.dumps(parts, sort_keys=True).encode())
    return digest.hexdigest()

"""Environments of their own for what Tunery is measured against, made when first asked for."""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

_MADE = "made"
"""A file that is written when an environment is whole."""


def python_with(*requirements: str) -> Path:
    """The interpreter of a virtual environment with these packages, pinned as ``name==version``.

    It lies in the user's cache, apart from the project's own environment. Raises SystemExit, which
    says what to do, when it cannot be made.
    """
    folder = _cache() / _name(requirements)
    python = folder / "bin" / "python"
    if not (folder / _MADE).exists():
        sys.stdout.write(f"  installing {', '.join(requirements)} into {folder}, this once …\n")
        sys.stdout.flush()
        venv.create(folder, clear=True, with_pip=True)
        _install(python, requirements)
        (folder / _MADE).touch()
    return python


def _install(python: Path, requirements: tuple[str, ...]) -> None:
    """By pip, which knows the user's own index and proxies."""
    command = [str(python), "-m", "pip", "install", "--quiet", *requirements]
    if subprocess.run(command, check=False).returncode != 0:
        raise SystemExit(
            f"{', '.join(requirements)} could not be installed, so there is nothing to measure "
            "against. Check that pip reaches a package index, or leave this benchmark out: "
            "make bench ONLY=… names those to run."
        )


def _name(requirements: tuple[str, ...]) -> str:
    """Another one for other packages, versions or another Python."""
    told = " ".join((*requirements, sys.version))
    first = requirements[0].partition("=")[0].partition("[")[0]
    return f"{first}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tunery" / "benchmarks"

"""The environment's packages: every one pinned, every one from the package index hashed."""

from __future__ import annotations

import ast
import os
import subprocess
from pathlib import Path

from console import Console, SetupError

TORCH = "2.13.0"
PIP_TO_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
}
"""uv does not read pip's settings: these three decide whether a package can be found at all."""


class Packages:
    """Puts packages into the virtual environment at ``venv`` from the locks under ``root``."""

    def __init__(self, root: Path, venv: Path, console: Console) -> None:
        self._root = root
        self._python = str(venv / "bin" / "python")
        self._uv = str(venv / "bin" / "uv")
        self._console = console

    def install_uv(self) -> None:
        """Let pip put in uv, which does the rest in a tenth of pip's time."""
        lock = str(self._root / "requirements" / "uv.txt")
        hashed = ["--require-hashes", "--no-deps", "--no-compile", "-r", lock]
        self._console.run([self._python, "-m", "pip", "install", *hashed])

    def install_torch(self) -> None:
        """Put in CPU torch: where pip finds such a wheel, else from PyTorch's own index.

        No hash: the builds that may be found differ by source.
        """
        try:
            self._install("--no-deps", f"torch=={TORCH}+cpu")
        except SetupError:
            self._install("--no-deps", "--torch-backend", "cpu", f"torch=={TORCH}")

    def install_locked(self, device: str) -> None:
        """Put in exactly what the lock names, nothing resolved."""
        lock = str(self._root / "requirements" / f"{device}.txt")
        self._install("--no-deps", "--require-hashes", "-r", lock)

    def install_ours(self) -> None:
        """Put in this checkout's two distributions, editable."""
        server, client = str(self._root), str(self._root / "clients" / "python")
        self._install("--no-deps", "--no-build-isolation", "-e", server, "-e", client)

    def _install(self, *arguments: str) -> None:
        command = [self._uv, "pip", "install", "--python", self._python, *arguments]
        self._console.run(command, env=self._uv_environment())

    def _uv_environment(self) -> dict[str, str]:
        settings = _pip_settings(self._python)
        handed_on = {
            uv_name: ",".join(settings[pip_name].split())
            for pip_name, uv_name in PIP_TO_UV.items()
            if pip_name in settings
        }
        return {**handed_on, **os.environ}


def _pip_settings(python: str) -> dict[str, str]:
    """Read pip's settings from its files and environment; the environment's win, as in pip."""
    command = [python, "-m", "pip", "config", "list"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found: dict[str, str] = {}
    for line in sorted(lines, reverse=True):  # ":env:.…" sorts before "global.…": it comes last
        key, _, value = line.partition("=")
        found[key.rpartition(".")[2]] = str(ast.literal_eval(value))
    return found

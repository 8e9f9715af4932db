"""The steps of a set-up, and which of them are still to be done."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from console import Console, SetupError
from device import recognise
from packages import Packages
from stamps import Stamp, distributions_digest, environment_digest

BUNDLED_MODEL = "smollm2-135m-instruct"

Step = tuple[str, Callable[[], None]]


def set_up(root: Path, lock: int) -> None:
    """Do what is not done yet. Raises SetupError."""
    began = time.monotonic()
    device = recognise(os.environ)
    console = Console(lock)
    steps = SetUp(root, device, console).pending()
    for title, run in steps:
        with console.step(title, of=len(steps)):
            run()
    took = f"in {time.monotonic() - began:.1f} s" if steps else "already"
    print(f"Tunery is set up {took} (device: {device}).", flush=True)


class SetUp:
    """This checkout's environment and base model, for one device."""

    def __init__(self, root: Path, device: str, console: Console) -> None:
        self._venv = root / ".venv"
        self._device = device
        self._console = console
        self._packages = Packages(root, self._venv, console)
        locked = environment_digest(root, device)
        self._locked = Stamp(self._venv / ".locked-stamp", locked)
        self._ours = Stamp(self._venv / ".ours-stamp", distributions_digest(root, locked))

    def pending(self) -> list[Step]:
        """List the steps to do. A changed lock means a new environment, never a mended one."""
        steps: list[Step] = []
        if not self._locked.holds():
            steps += self._environment_steps()
        if steps or not self._ours.holds():
            steps.append(("Tunery itself", self._install_ours))
        if not os.environ.get("TUNERY_MODEL") and not _model_folder().exists():
            steps.append((f"base model, into {_model_folder()}", self._unpack_model))
        return steps

    def _environment_steps(self) -> list[Step]:
        torch: Step = ("torch for cpu", self._packages.install_torch)
        return [
            ("virtual environment", self._make_venv),
            ("uv", self._packages.install_uv),
            *([torch] if self._device == "cpu" else []),
            (f"locked packages for {self._device}", self._install_locked),
        ]

    def _make_venv(self) -> None:
        if importlib.util.find_spec("ensurepip") is None:
            raise SetupError(
                "This Python cannot make virtual environments. On Debian or Ubuntu:\n"
                "  apt-get install python3.11-venv"
            )
        self._locked.remove()
        self._console.run([sys.executable, "-m", "venv", "--clear", str(self._venv)])

    def _install_locked(self) -> None:
        self._packages.install_locked(self._device)
        self._locked.write()

    def _install_ours(self) -> None:
        self._ours.remove()
        self._packages.install_ours()
        self._ours.write()

    def _unpack_model(self) -> None:
        module = "tunery_adapters.training.bundled"
        python = str(self._venv / "bin" / "python")
        self._console.run([python, "-m", module, str(_model_folder())])


def _model_folder() -> Path:
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    home = os.environ.get("TUNERY_HOME") or Path(data) / "tunery"
    return Path(home).expanduser().absolute() / "models" / BUNDLED_MODEL

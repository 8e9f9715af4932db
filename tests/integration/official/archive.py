"""The source distribution of the installed ``openai`` package, which carries its tests."""

import hashlib
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

VERSION = version("openai")
LOCK = Path(__file__).parents[3] / "requirements" / "cpu.txt"
_DOWNLOAD_S = 120


def sources(cache: Path) -> Path:
    """The unpacked archive, fetched into ``cache`` by pip when it is not there yet.

    Skips the test where neither the archive nor the package index can be had.
    """
    archive = cache / f"openai-{VERSION}.tar.gz"
    folder = cache / f"openai-{VERSION}"
    if not archive.is_file():
        _download(cache)
    if not folder.is_dir():
        _check(archive)
        shutil.unpack_archive(archive, cache)  # its hash is known; Python 3.11.2 has no filters
    return folder


def _download(cache: Path) -> None:
    command = [*_pip(), "download", "--quiet", "--no-deps", "--no-binary", "openai"]
    command += ["--dest", str(cache), f"openai=={VERSION}"]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_DOWNLOAD_S)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(
            f"the openai package's tests are not here ({type(error).__name__}). Where there is a "
            f"network, run: {' '.join(command)}"
        )


def _pip() -> list[str]:
    """This environment's pip, or one of a Python beside it; a virtual environment may have none."""
    for python in (sys.executable, sys._base_executable, shutil.which("python3.11")):
        probe = [str(python), "-m", "pip", "--version"]
        if python and subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return [python, "-m", "pip"]
    return [shutil.which("pip3") or "pip"]


def _check(archive: Path) -> None:
    """The lock names the hashes of everything that a release consists of."""
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    entry = LOCK.read_text().partition(f"\nopenai=={VERSION} ")[2].partition("# via")[0]
    assert not entry or f"sha256:{digest}" in entry, f"{archive} is not what the lock names"

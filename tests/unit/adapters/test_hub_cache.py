"""A base model by its hub id is found without asking the hub."""

from pathlib import Path

from tunery_adapters.hub_cache import model_folder


def test_a_folder_is_itself(tmp_path: Path) -> None:
    assert model_folder(str(tmp_path), {}) == tmp_path
    assert model_folder(str(tmp_path / "absent"), {"HF_HOME": str(tmp_path)}) is None


def test_a_hub_id_is_found_where_the_hub_client_keeps_it(tmp_path: Path) -> None:
    environment = {"HF_HOME": str(tmp_path)}
    assert model_folder("owner/name", environment) is None
    kept = tmp_path / "hub" / "models--owner--name"
    folder = kept / "snapshots" / "abc"
    folder.mkdir(parents=True)
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("abc")
    assert model_folder("owner/name", environment) == folder
    assert model_folder("owner/name", {"HF_HUB_CACHE": str(tmp_path / "hub")}) == folder
    assert model_folder("owner/name", {"XDG_CACHE_HOME": str(tmp_path)}) is None

"""A published version is whole or not there, holds nothing foreign, and never changes."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.unit.adapters.folders import PREFIX, MakeFolder, weights
from tunery_adapters.errors import (
    AdapterDamagedError,
    AdapterExistsError,
    AdapterNotFoundError,
    InvalidAdapterError,
)
from tunery_adapters.fault import VARIABLE
from tunery_adapters.manifest import Provenance
from tunery_adapters.store import AdapterStore

FILES = {"adapter_config.json", "adapter_model.safetensors", "manifest.json"}


def provenance(**changes: Any) -> Provenance:
    fields: dict[str, Any] = {
        "adapter_id": "adapter-1",
        "version": 1,
        "model": "ft:smollm2-135m-instruct:org:suffix:abc123",
        "base_model": "smollm2-135m-instruct",
        "tenant_id": "tenant-1",
        "job_id": "ftjob-1",
        "step": 75,
        "created_at": datetime(2026, 11, 23, tzinfo=UTC),
        "metrics": {"valid_loss": 0.4},
    }
    return Provenance(**{**fields, **changes})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "adapters"


@pytest.fixture
def store(root: Path) -> AdapterStore:
    return AdapterStore(root, max_rank=64)


def test_only_weights_and_a_clean_configuration_are_published(
    store: AdapterStore, make_folder: MakeFolder, root: Path
) -> None:
    source = make_folder()
    for stray in ("training_args.bin", "README.md", "tokenizer.json"):
        (source / stray).write_bytes(b"stray")
    published = store.publish(source, provenance())
    assert published.path == root / "adapter-1" / "v1" == store.path("adapter-1", 1)
    assert {file.name for file in published.path.iterdir()} == FILES
    config = json.loads((published.path / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "smollm2-135m-instruct"
    assert "auto_mapping" not in config
    assert "secret" not in json.dumps(config)
    weights_file = "adapter_model.safetensors"
    assert (published.path / weights_file).read_bytes() == (source / weights_file).read_bytes()


def test_the_manifest_binds_the_files(store: AdapterStore, make_folder: MakeFolder) -> None:
    published = store.publish(make_folder(), provenance())
    assert published.manifest == store.manifest("adapter-1", 1) == store.verify("adapter-1", 1)
    assert set(published.manifest.files) == FILES - {"manifest.json"}
    assert published.manifest.metrics == {"valid_loss": 0.4}
    assert (published.manifest.rank, published.manifest.alpha) == (8, 16.0)


def test_published_files_are_read_only(store: AdapterStore, make_folder: MakeFolder) -> None:
    folder = store.publish(make_folder(), provenance()).path
    assert {oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {"0o444"}
    assert folder.stat().st_mode & 0o222 == 0


def test_publishing_the_same_again_changes_nothing(
    store: AdapterStore, make_folder: MakeFolder, root: Path
) -> None:
    first = store.publish(make_folder(), provenance())
    before = (first.path / "manifest.json").stat().st_mtime_ns
    later = provenance(created_at=datetime(2027, 1, 1, tzinfo=UTC))
    assert store.publish(make_folder(), later) == first
    assert (first.path / "manifest.json").stat().st_mtime_ns == before
    assert [path.name for path in root.iterdir()] == ["adapter-1"]


def test_publishing_other_weights_under_a_taken_version_is_refused(
    store: AdapterStore, make_folder: MakeFolder, root: Path
) -> None:
    store.publish(make_folder(), provenance())
    other = {name: tensor + 1 for name, tensor in weights().items()}
    with pytest.raises(AdapterExistsError):
        store.publish(make_folder(other), provenance())
    store.verify("adapter-1", 1)
    assert store.publish(make_folder(other), provenance(version=2)).path == root / "adapter-1/v2"


def test_a_refused_folder_leaves_nothing(
    store: AdapterStore, make_folder: MakeFolder, root: Path
) -> None:
    with pytest.raises(InvalidAdapterError):
        store.publish(make_folder(use_dora=True), provenance())
    assert list(root.iterdir()) == []


def test_a_rank_above_the_engine_s_is_refused(root: Path, make_folder: MakeFolder) -> None:
    with pytest.raises(InvalidAdapterError):
        AdapterStore(root, max_rank=4).publish(make_folder(), provenance())


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_refused_and_not_waited_for(
    store: AdapterStore, make_folder: MakeFolder, make: Any
) -> None:
    weights_file = make_folder() / "adapter_model.safetensors"
    weights_file.unlink()
    make(weights_file)
    with pytest.raises(InvalidAdapterError):
        store.publish(weights_file.parent, provenance())


@pytest.mark.parametrize("adapter_id", ["..", "a/b", "", ".tmp-1", "x" * 129, "a\0", "a\n"])
def test_an_unsafe_id_is_not_looked_up(store: AdapterStore, adapter_id: str) -> None:
    with pytest.raises(AdapterNotFoundError):
        store.path(adapter_id, 1)


def test_a_version_that_is_not_there_is_not_found(
    store: AdapterStore, make_folder: MakeFolder
) -> None:
    store.publish(make_folder(), provenance())
    for adapter_id, version in (("adapter-1", 2), ("adapter-2", 1), ("adapter-1", 0)):
        with pytest.raises(AdapterNotFoundError):
            store.path(adapter_id, version)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_damage_is_named(store: AdapterStore, make_folder: MakeFolder, name: str) -> None:
    file = store.publish(make_folder(), provenance()).path / name
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1] + b" ")
    with pytest.raises(AdapterDamagedError, match=name):
        store.verify("adapter-1", 1)


def test_deleting_removes_one_version(
    store: AdapterStore, make_folder: MakeFolder, root: Path
) -> None:
    store.publish(make_folder(), provenance())
    kept = store.publish(make_folder(), provenance(version=2))
    store.delete("adapter-1", 1)
    with pytest.raises(AdapterNotFoundError):
        store.path("adapter-1", 1)
    assert store.path("adapter-1", 2) == kept.path
    assert not [path for path in root.iterdir() if path.name.startswith(".tmp-")]


PUBLISH_AND_DIE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from tunery_adapters import store
from tunery_adapters.manifest import Provenance
store.AdapterStore(Path(sys.argv[1])).publish(Path(sys.argv[2]), Provenance(
    adapter_id="adapter-1", version=1, model="m", base_model="b", tenant_id="t",
    created_at=datetime.now(UTC)))
"""


def test_a_publisher_that_is_killed_leaves_only_what_a_sweep_removes(
    store: AdapterStore, make_folder: MakeFolder, root: Path
) -> None:
    source = make_folder()
    command = [sys.executable, "-c", PUBLISH_AND_DIE, str(root), str(source)]
    environment = os.environ | {VARIABLE: "adapter.tmp_written:kill"}
    assert subprocess.run(command, env=environment, check=False).returncode == -9
    with pytest.raises(AdapterNotFoundError):
        store.path("adapter-1", 1)
    assert store.sweep() == 1
    assert list(root.iterdir()) == []
    assert store.publish(source, provenance()).path.is_dir()


def test_sweeping_leaves_a_publisher_alone(
    store: AdapterStore, make_folder: MakeFolder, root: Path
) -> None:
    command = [sys.executable, "-c", PUBLISH_AND_DIE, str(root), str(make_folder())]
    environment = os.environ | {VARIABLE: "adapter.tmp_written:stop"}
    with subprocess.Popen(command, env=environment) as publisher:
        _, status = os.waitpid(publisher.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        assert store.sweep() == 0
        publisher.send_signal(signal.SIGCONT)
        assert publisher.wait(30) == 0
    assert store.sweep() == 0
    store.verify("adapter-1", 1)


def test_a_version_whose_publisher_was_killed_too_early_is_read_only_in_the_end(
    store: AdapterStore, make_folder: MakeFolder, root: Path
) -> None:
    source = make_folder()
    command = [sys.executable, "-c", PUBLISH_AND_DIE, str(root), str(source)]
    environment = os.environ | {VARIABLE: "adapter.renamed:kill"}
    assert subprocess.run(command, env=environment, check=False).returncode == -9
    assert subprocess.run(command, check=False).returncode == 0
    assert store.path("adapter-1", 1).stat().st_mode & 0o777 == 0o555


def test_sweeping_spares_what_is_published(store: AdapterStore, make_folder: MakeFolder) -> None:
    assert store.sweep() == 0
    store.publish(make_folder(), provenance())
    assert store.sweep() == 0
    store.verify("adapter-1", 1)


def test_rank_stabilised_scaling_is_kept(store: AdapterStore, make_folder: MakeFolder) -> None:
    folder = store.publish(make_folder(use_rslora=True), provenance()).path
    assert json.loads((folder / "adapter_config.json").read_text())["use_rslora"] is True
    assert PREFIX.encode() in (folder / "adapter_model.safetensors").read_bytes()

"""What tests of several kinds share: the base model, a real Valkey, a real server."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai.types.fine_tuning import FineTuningJob

from tests.pirates import train_pirate
from tests.redis_servers import RedisServer
from tests.servers import RunningServer, start_server
from tunery_server.config import BUNDLED_MODEL, default_home
from tunery_server.records.database import Database

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores Ctrl-C, and so would every process that a test interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["tests.promises"]

ORDER = ("unit", "contract", "architecture", "docs", "deploy", "integration", "faults")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast ones first, so that a mistake shows early; those that share a server stay together."""
    items.sort(key=lambda item: ORDER.index(item.path.relative_to(Path(__file__).parent).parts[0]))


@pytest.fixture(scope="session")
def base_model() -> Path:
    """The folder of SmolLM2-135M-Instruct, which set-up has made."""
    given = os.environ.get("TUNERY_TEST_BASE_MODEL")
    folder = Path(given) if given else default_home() / "models" / BUNDLED_MODEL
    if not (folder / "config.json").is_file():
        pytest.fail(f"there is no base model in {folder}: run 'make setup'")
    return folder


@pytest.fixture(scope="session")
def tiny_model(base_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random model that is trained in no time."""
    from tests.tiny import write_tiny_model  # noqa: PLC0415 - torch takes seconds to import

    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_tiny_model(folder, base_model)
    return folder


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real Valkey of the tests' own."""
    server = RedisServer("valkey", tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server.url
    server.kill()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record with the newest schema, to be copied: to migrate one takes 0.2 s."""
    path = tmp_path_factory.mktemp("record") / "tunery.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    database.close()
    return path


@pytest.fixture
def migrated_copy(tmp_path: Path, migrated: Path) -> Path:
    """A test's own, empty, with the newest schema."""
    return Path(shutil.copy(migrated, tmp_path / "records.db"))


@pytest.fixture
def database(migrated_copy: Path) -> Iterator[Database]:
    """An empty record with the newest schema."""
    database = Database(f"sqlite:///{migrated_copy}")
    yield database
    database.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 1 MiB."""
    folder, mount, umount = tmp_path / "disk", shutil.which("mount"), shutil.which("umount")
    folder.mkdir()
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if mount is None or umount is None or subprocess.run(command, check=False).returncode != 0:
        pytest.skip("only root may mount a file system")
    yield folder
    subprocess.run([umount, "--lazy", str(folder)], check=True)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, base_model: Path) -> Iterator[RunningServer]:
    """``tunery serve`` with everything real behind it, ready to answer."""
    home = tmp_path_factory.mktemp("home")
    with start_server(home, model=base_model, TUNERY_LEASE_S="4") as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="session")
def lora_job(server: RunningServer) -> FineTuningJob:
    """A real LoRA job, run to its end once for all tests that want a trained adapter."""
    job = train_pirate(server.client())
    assert job.status == "succeeded", job.error
    return job

import stat
import sys
from pathlib import Path

import pytest

from tunery_server.config import Settings
from tunery_server.errors import ConfigError
from tunery_server.gateway.auth import ALL_SCOPES, KEY_PREFIX, digest_of
from tunery_server.records.database import Database
from tunery_server.records.keys import KeyRecords
from tunery_server.supervisor import home
from tunery_server.supervisor.home import prepare, prepare_engine, prepare_folders, prepare_model


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def keys(settings: Settings) -> KeyRecords:
    return KeyRecords(Database(settings.database))


def test_the_first_start_makes_a_key_and_the_next_keeps_it(settings: Settings) -> None:
    assert prepare(settings)
    secret = settings.admin_key_file.read_text()
    assert secret.startswith(KEY_PREFIX)
    assert not prepare(settings)
    assert settings.admin_key_file.read_text() == secret
    [key] = keys(settings).list()
    assert (key.digest, set(key.scopes)) == (digest_of(secret.strip()), set(ALL_SCOPES))


def test_the_data_is_this_users_alone(settings: Settings) -> None:
    prepare(settings)
    for folder in (settings.home, settings.runtime_dir, settings.home / "valkey"):
        assert mode(folder) == 0o700
    assert mode(settings.admin_key_file) == 0o600


def test_an_open_folder_is_closed(settings: Settings) -> None:
    settings.home.mkdir(mode=0o755)
    prepare(settings)
    assert mode(settings.home) == 0o700


def test_a_start_that_was_cut_short_is_made_up_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the record knew the key and before the file was there."""
    prepare(settings)
    settings.admin_key_file.unlink()
    assert prepare(settings)
    secret = settings.admin_key_file.read_text().strip()
    assert keys(settings).by_digest(digest_of(secret)) is not None


def test_every_engine_gets_a_new_key_and_a_free_socket(settings: Settings) -> None:
    prepare(settings)
    settings.engine_socket.write_text("left behind by an engine that was killed")
    first = prepare_engine(settings)
    assert not settings.engine_socket.exists()
    assert settings.engine_key_file.read_text() == first
    assert mode(settings.engine_key_file) == 0o600
    assert prepare_engine(settings) != first


def test_folders_need_no_record(settings: Settings) -> None:
    prepare_folders(settings)
    assert mode(settings.runtime_dir) == 0o700
    assert not (settings.home / "tunery.db").exists()
    assert not settings.admin_key_file.exists()


@pytest.mark.parametrize("status", [0, 1])
def test_the_base_model_is_unpacked_before_an_engine_starts(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    script = f"import sys, pathlib; pathlib.Path(sys.argv[1]).mkdir(parents=True); exit({status})"
    command = [sys.executable, "-c", script, settings.base_model_path]
    monkeypatch.setattr(home, "unpacking", lambda _: command)
    if status == 0:
        prepare_model(settings)
    else:
        with pytest.raises(ConfigError, match="could not be prepared"):
            prepare_model(settings)
    assert Path(settings.base_model_path).is_dir()


def test_only_the_bundled_model_is_unpacked_and_only_once(settings: Settings) -> None:
    command = home.unpacking(settings)
    assert command is not None
    assert command[-1] == settings.base_model_path
    assert home.unpacking(settings.model_copy(update={"model": "someone/else"})) is None
    Path(settings.base_model_path).mkdir(parents=True)
    assert home.unpacking(settings) is None

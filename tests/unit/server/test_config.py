from pathlib import Path

import pytest

from tunery_server.config import BUNDLED_MODEL, default_home, read_settings
from tunery_server.errors import ConfigError


@pytest.fixture
def toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNERY_HOME", str(tmp_path))
    return tmp_path / "tunery.toml"


def test_a_setting_is_its_name_in_capitals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNERY_PORT", "9000")
    monkeypatch.setenv("TUNERY_MAX_LORA_RANK", "32")
    settings = read_settings()
    assert (settings.port, settings.max_lora_rank) == (9000, 32)


def test_arguments_win_over_the_environment_and_that_over_the_file(
    toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml.write_text('port = 1\nhost = "file"\norganization = "file"\n')
    monkeypatch.setenv("TUNERY_PORT", "2")
    monkeypatch.setenv("TUNERY_HOST", "environment")
    settings = read_settings(port=3)
    assert settings.port == 3
    assert settings.host == "environment"
    assert settings.organization == "file"


@pytest.mark.parametrize("name", ["TUNERY_PROT", "TUNERY_DATABASE_URL", "TUNERY_REDIS_URL"])
def test_an_unknown_variable_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigError, match=name):
        read_settings()


def test_an_unknown_name_in_the_file_is_refused_by_name(toml: Path) -> None:
    toml.write_text("prot = 1\n")
    with pytest.raises(ConfigError, match="prot"):
        read_settings()


def test_every_wrong_value_is_named(toml: Path) -> None:
    toml.write_text('port = 0\ndevice = "tpu"\n')
    with pytest.raises(ConfigError, match=r"port.*device"):
        read_settings()


def test_a_file_that_is_not_toml_is_named(toml: Path) -> None:
    toml.write_text("port = = 1\n")
    with pytest.raises(ConfigError, match=r"tunery\.toml"):
        read_settings()


def test_variables_of_the_client_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNERY_API_KEY", "sk")
    monkeypatch.setenv("TUNERY_BASE_URL", "http://elsewhere/v1")
    read_settings()


def test_urls_go_without_the_prefix(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere")
    toml.write_text('database_url = "postgresql://elsewhere"\n')
    settings = read_settings()
    assert settings.redis == "redis://elsewhere"
    assert settings.database == "postgresql://elsewhere"


def test_everything_lies_in_the_home_by_default(tmp_path: Path) -> None:
    settings = read_settings(home=tmp_path)
    assert settings.database == f"sqlite:///{tmp_path}/tunery.db"
    assert settings.redis == f"unix://{tmp_path}/run/valkey.sock"
    assert settings.base_model_path == f"{tmp_path}/models/{BUNDLED_MODEL}"
    for path in (settings.admin_key_file, settings.engine_socket, settings.engine_key_file):
        assert path.is_relative_to(tmp_path)


def test_home_follows_xdg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_home() == tmp_path / ".local/share/tunery"
    monkeypatch.setenv("XDG_DATA_HOME", "/x")
    assert default_home() == read_settings().home == Path("/x/tunery")


@pytest.mark.parametrize("given", ["~/data", "data"])
def test_home_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNERY_HOME", given)
    assert read_settings().home == default_home() == tmp_path / "data"


@pytest.mark.parametrize(
    ("model", "name", "path"),
    [
        (BUNDLED_MODEL, BUNDLED_MODEL, f"home/models/{BUNDLED_MODEL}"),
        ("folder", "folder", "folder"),
        ("./folder/", "folder", "folder"),
        ("~/folder", "folder", "folder"),
        ("Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B", None),
    ],
)
def test_the_base_model_has_one_name_and_one_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, name: str, path: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    settings = read_settings(home=tmp_path / "home", model=model)
    assert settings.base_model_name == name
    assert settings.base_model_path == (model if path is None else str(tmp_path / path))


def test_the_name_on_the_wire_can_be_chosen() -> None:
    settings = read_settings(model="/models/long-folder-name", served_model_name="short")
    assert settings.base_model_name == "short"

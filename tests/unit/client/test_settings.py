from pathlib import Path

import pytest

from tunery import MissingKeyError, Tunery
from tunery._settings import find_api_key, find_base_url, find_home

LOCAL = "http://127.0.0.1:8000/v1"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"TUNERY_BASE_URL": "http://a/v1", "OPENAI_BASE_URL": "http://b/v1"}, "http://a/v1"),
        ({"TUNERY_BASE_URL": "", "OPENAI_BASE_URL": "http://b/v1"}, "http://b/v1"),
        ({}, LOCAL),
    ],
)
def test_base_url_comes_from_the_first_variable_set(environ: dict[str, str], expected: str) -> None:
    assert find_base_url(environ) == expected


def test_arguments_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNERY_BASE_URL", "http://a/v1")
    monkeypatch.setenv("TUNERY_API_KEY", "from-environment")
    client = Tunery(base_url="http://b/v1", api_key="given")
    assert (str(client.base_url), client.api_key) == ("http://b/v1/", "given")


def test_a_tunery_key_wins_over_an_openai_key() -> None:
    both = {"TUNERY_API_KEY": "a", "OPENAI_API_KEY": "b"}
    assert find_api_key(LOCAL, both) == "a"
    assert find_api_key(LOCAL, {"OPENAI_API_KEY": "b"}) == "b"


def test_the_key_file_of_this_machine_is_found(tmp_path: Path) -> None:
    (tmp_path / "admin.key").write_text("sk-file\n")
    assert find_api_key(LOCAL, {"TUNERY_HOME": str(tmp_path)}) == "sk-file"


@pytest.mark.parametrize("url", ["http://example.com/v1", "http://10.0.0.1:8000/v1"])
def test_the_key_file_is_never_sent_to_another_host(tmp_path: Path, url: str) -> None:
    (tmp_path / "admin.key").write_text("sk-file\n")
    with pytest.raises(MissingKeyError, match="TUNERY_API_KEY"):
        find_api_key(url, {"TUNERY_HOME": str(tmp_path)})


def test_without_a_key_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MissingKeyError) as raised:
        find_api_key(LOCAL, {"TUNERY_HOME": str(tmp_path)})
    for hint in (str(tmp_path / "admin.key"), "tunery serve", "TUNERY_API_KEY", "--api-key"):
        assert hint in str(raised.value)


def test_an_unreadable_key_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "admin.key").mkdir()
    with pytest.raises(MissingKeyError, match=r"admin\.key"):
        find_api_key(LOCAL, {"TUNERY_HOME": str(tmp_path)})


def test_home_follows_xdg(tmp_path: Path) -> None:
    assert find_home({"TUNERY_HOME": "/srv/t", "XDG_DATA_HOME": "/x"}) == Path("/srv/t")
    assert find_home({"XDG_DATA_HOME": "/x"}) == Path("/x/tunery")
    assert find_home({}) == tmp_path / ".local" / "share" / "tunery"

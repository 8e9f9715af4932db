import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tunery_server.serving.cache_salt import CacheSalt, read_or_make_secret


def test_the_secret_is_made_once_and_only_for_this_user(tmp_path: Path) -> None:
    path = tmp_path / "salt.key"
    secret = read_or_make_secret(path)
    assert len(secret) == 32
    assert read_or_make_secret(path) == secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_or_make_secret(tmp_path / "other.key") != secret


def test_gateways_that_start_at_once_share_one_secret(tmp_path: Path) -> None:
    path = tmp_path / "salt.key"
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(lambda _: read_or_make_secret(path), range(32)))
    [secret] = secrets
    assert len(secret) == 32
    assert list(tmp_path.iterdir()) == [path]


def test_salts_differ_by_tenant_and_by_server() -> None:
    salt = CacheSalt(b"secret")
    assert salt("acme") == salt("acme") != salt("rival")
    assert CacheSalt(b"other")("acme") != salt("acme")
    assert "acme" not in salt("acme")
    assert len(salt("acme")) == 64

"""A server does not start on a Redis that would forget its jobs, unless it is told to."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.redis_servers import KINDS, RedisServer
from tests.servers import free_port
from tunery_server.config import Settings
from tunery_server.errors import ConfigError
from tunery_server.gateway import app
from tunery_server.queue import durability
from tunery_server.supervisor import serve
from tunery_server.worker import main

Start = Callable[..., RedisServer]
ENTRIES: list[Callable[[Settings], None]] = [
    app.run,
    main.run,
    lambda settings: serve.run(settings, ()),
]


@pytest.fixture(params=KINDS)
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    started: list[RedisServer] = []

    def start(**options: str) -> RedisServer:
        started.append(RedisServer(request.param, tmp_path, **options))
        started[-1].start()
        return started[-1]

    yield start
    for server in started:
        server.kill()


def asking(url: str, **values: object) -> Settings:
    return Settings(redis_url=url, **values)  # type: ignore[arg-type]


def test_one_that_is_durable_will_do(start: Start) -> None:
    durability.check(asking(start().url))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"appendonly": "no"}, "appendonly is 'no'"),
        ({"maxmemory-policy": "allkeys-lru"}, "maxmemory-policy is 'allkeys-lru'"),
    ],
)
def test_one_that_would_forget_is_refused_unless_told_otherwise(
    start: Start, options: dict[str, str], named: str
) -> None:
    url = start(**options).url
    with pytest.raises(ConfigError, match=named) as raised:
        durability.check(asking(url))
    assert "TUNERY_REQUIRE_DURABLE_REDIS" in str(raised.value)
    durability.check(asking(url, require_durable_redis=False))


def test_one_that_may_not_be_asked_is_warned_of(start: Start) -> None:
    server = start()
    server.client.acl_setuser(
        "tunery",
        enabled=True,
        passwords=["+made-up"],
        keys=["*"],
        commands=["+@all", "-config", "-info"],
    )
    with capture_logs() as logs:
        durability.check(asking(server.url.replace("unix://", "unix://tunery:made-up@")))
    assert [line["event"] for line in logs] == ["cannot tell whether Redis keeps jobs"] * 2


def test_one_that_does_not_answer_yet_is_warned_of(tmp_path: Path) -> None:
    with capture_logs() as logs:
        durability.check(asking(f"unix://{tmp_path / 'none.sock'}"))
    assert {line["log_level"] for line in logs} == {"warning"}


def test_one_that_is_too_old_is_refused(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    url = start().url
    monkeypatch.setattr(durability, "OLDEST", (99, 0))
    with pytest.raises(ConfigError, match="of version"):
        durability.check(asking(url))


@pytest.mark.promise("P1", fault="the server is started on a Redis without an append-only file")
@pytest.mark.parametrize("run", ENTRIES, ids=["gateway", "worker", "serve"])
def test_no_process_starts(start: Start, tmp_path: Path, run: Callable[[Settings], None]) -> None:
    settings = asking(start(appendonly="no").url, home=tmp_path / "home", port=free_port())
    with pytest.raises(ConfigError, match="would not keep jobs"):
        run(settings)
    assert not (tmp_path / "home").exists()

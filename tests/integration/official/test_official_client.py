"""The ``openai`` package's own tests pass against this server, or fail for a listed reason."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compatibility import must_be_documented
from tests.engines import ScriptedEngine
from tests.loopback import serving
from tests.servers import free_port
from tunery_server.config import Settings
from tunery_server.gateway.app import create_app
from tunery_server.records.database import Database

from .archive import sources
from .calls import Call, api_key, calls_in, values
from .live import Watched
from .run import Outcome, run
from .seeds import Seeds
from .skips import SKIPS, expected_failures
from .summary import summary

RESOURCES = (
    "batches",
    "chat",
    "completions",
    "files",
    "fine_tuning",
    "models",
    "responses",
    "uploads",
    "webhooks",
)


@pytest.fixture(scope="module")
def root(pytestconfig: pytest.Config) -> Path:
    return sources(pytestconfig.cache.mkdir("openai"))


@pytest.fixture(scope="module")
def paths(root: Path) -> list[Path]:
    folder = root / "tests" / "api_resources"
    return [
        path
        for name in RESOURCES
        for path in (*sorted((folder / name).rglob("test_*.py")), *folder.glob(f"test_{name}.py"))
    ]


@pytest.fixture(scope="module")
def calls(root: Path, paths: list[Path]) -> tuple[Call, ...]:
    return calls_in(root, paths)


@pytest.fixture(scope="module")
def url(
    root: Path, calls: tuple[Call, ...], valkey: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A gateway whose base model is the one that the tests fine-tune."""
    (base,) = values(calls, "model", of="fine_tuning.jobs.create")
    home = tmp_path_factory.mktemp("official")
    port = free_port()
    settings = Settings(
        home=home,
        port=port,
        redis_url=valkey,
        served_model_name=base,
        webhook_hosts=(f"http://127.0.0.1:{port}",),
    )
    database = Database(settings.database)
    database.migrate()
    seeds = Seeds(settings, database, calls)
    seeds.add_key(api_key(root))
    seeds.sow("any")
    app = create_app(settings, ScriptedEngine())
    with serving(app, settings, within=Watched(app, seeds)) as url:
        yield url
    database.close()


@pytest.fixture(scope="module")
def outcomes(
    root: Path,
    paths: list[Path],
    calls: tuple[Call, ...],
    url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Outcome, ...]:
    return run(root, paths, expected_failures(calls), url, tmp_path_factory.mktemp("run"))


def test_what_is_not_listed_passes_and_what_is_listed_fails(outcomes: tuple[Outcome, ...]) -> None:
    failed = [outcome for outcome in outcomes if outcome.outcome == "failed"]
    assert not failed, "\n\n".join(f"{one.test}\n{one.asked}\n{one.reason}" for one in failed[:5])
    assert len(outcomes) > 500


def test_no_answer_is_a_failure_of_the_server(outcomes: tuple[Outcome, ...]) -> None:
    statuses = {(route, status) for one in outcomes for route, status in one.asked}
    assert not [route for route, status in statuses if status >= 500]


def test_every_listed_reason_is_needed(calls: tuple[Call, ...]) -> None:
    assert [skip for skip in SKIPS if not any(map(skip.covers, calls))] == []


def test_the_page_says_so(calls: tuple[Call, ...], outcomes: tuple[Outcome, ...]) -> None:
    must_be_documented("client_tests", summary(calls, outcomes))


def test_a_listed_test_that_passes_is_a_failure(
    root: Path, paths: list[Path], calls: tuple[Call, ...], url: str, tmp_path: Path
) -> None:
    stale = next(call.test for call in calls if call.method == "models.list")
    models = [path for path in paths if stale.startswith(str(path.relative_to(root)))]
    outcomes = run(root, models, {stale: "no reason"}, url, tmp_path)
    failed = [outcome for outcome in outcomes if outcome.outcome == "failed"]
    assert {outcome.test.partition("[")[0] for outcome in failed} == {stale}
    assert all("XPASS(strict)" in outcome.reason for outcome in failed)

"""``tunery webhooks``, as an operator types it."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI
from typer.testing import CliRunner, Result

from tests.receivers import Receiver, answering
from tunery_server.cli import app
from tunery_server.config import read_settings
from tunery_server.records.database import Database
from tunery_server.records.rows import EventType
from tunery_server.records.webhooks import EndpointRecords

URL = "https://hooks.example.com/t0ken"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNERY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TUNERY_WEBHOOK_HOSTS", "hooks.example.com")
    return tmp_path / "home"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver in a thread of its own, for the command has the loop of this one."""
    loop, receiver = asyncio.new_event_loop(), Receiver()
    loop.run_until_complete(receiver.__aenter__())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    monkeypatch.setenv("TUNERY_WEBHOOK_HOSTS", f"hooks.example.com, {receiver.host}")
    yield receiver
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(receiver.__aexit__())
    loop.close()


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["webhooks", *words])


def created(url: str, *words: str) -> list[str]:
    result = run("create", "--tenant", "acme", "--url", url, *words)
    assert result.exit_code == 0, result.output
    endpoint_id, secret = result.stdout.split()
    return [endpoint_id, secret]


def test_a_secret_is_printed_once_and_an_url_never() -> None:
    endpoint_id, secret = created(URL)
    listed = run("list").stdout
    assert listed.split()[:4] == [endpoint_id, "acme", "webhook", "hooks.example.com"]
    assert listed.split()[-1] == "active"
    assert secret not in listed
    assert "t0ken" not in listed


def test_events_are_all_or_those_that_are_named() -> None:
    created(URL)
    created(URL, "--event", "batch.failed", "--event", "fine_tuning.job.failed")
    first, second = EndpointRecords(Database(read_settings().database)).all()
    assert set(first.event_types) == set(EventType)
    assert set(second.event_types) == {EventType.BATCH_FAILED, EventType.JOB_FAILED}


def test_an_endpoint_is_deleted_by_its_id() -> None:
    endpoint_id, _ = created(URL)
    assert run("delete", endpoint_id).exit_code == 0
    assert run("list").stdout == ""
    again = run("delete", endpoint_id)
    assert again.exit_code == 2
    assert "no endpoint" in again.stderr


@pytest.mark.parametrize(
    ("status", "said", "exit_code"), [(204, "delivered", 0), (500, "rejected", 1)]
)
def test_a_test_is_signed_and_says_what_came_back(
    receiver: Receiver, status: int, said: str, exit_code: int
) -> None:
    receiver.respond = answering(status)
    endpoint_id, secret = created(receiver.url)
    result = run("test", endpoint_id, "--event", "batch.completed")
    assert (result.exit_code, result.stdout) == (exit_code, f"{said} ({status})\n")
    [got] = receiver.received
    event = OpenAI(api_key="none").webhooks.unwrap(got.body, got.headers, secret=secret)
    assert event.type == "batch.completed"


@pytest.mark.parametrize(
    ("hosts", "url", "told"),
    [
        ("", URL, "Webhooks are off"),
        ("hooks.example.com", "https://169.254.169.254/t0ken", "sends no webhooks to"),
        ("hooks.example.com", "ssh://hooks.example.com/t0ken", "must be an http or https URL"),
        ("*.example.com", URL, "cannot read '*.example.com'"),
    ],
)
def test_what_is_not_allowed_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, hosts: str, url: str, told: str
) -> None:
    monkeypatch.setenv("TUNERY_WEBHOOK_HOSTS", hosts)
    result = run("create", "--url", url)
    assert result.exit_code == 2
    assert told in result.stderr
    assert "t0ken" not in result.output
    assert "Traceback" not in result.output

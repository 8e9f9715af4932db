"""The short process, with others in its place that do what it should not."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.surveys import a_survey
from tunery_adapters.survey import SurveySpec
from tunery_server.errors import InvalidRequest, Overloaded
from tunery_server.jobs.survey_process import SurveyProcesses

SPEC = SurveySpec(base_model_path="/base", file="/files/file-a", max_length=64, budget_s=0.1)


def running(code: str, **options: float) -> SurveyProcesses:
    return SurveyProcesses(command=(sys.executable, "-c", code), **options)  # type: ignore[arg-type]


def hanging(pids: Path) -> str:
    """Leaves its id behind, and does nothing."""
    return f"import os, time; open({str(pids)!r}, 'a').write(f'{{os.getpid()}}\\n'); time.sleep(60)"


def read(pids: Path) -> list[int]:
    return [int(line) for line in pids.read_text().splitlines()] if pids.exists() else []


async def begun(pids: Path, count: int) -> list[int]:
    while len(read(pids)) < count:  # noqa: ASYNC110 (another process writes it)
        await asyncio.sleep(0.01)
    return read(pids)


async def test_what_it_says_is_read() -> None:
    line = a_survey().model_dump_json()
    assert await running(f"print({line!r})")(SPEC) == (a_survey(),)


async def test_it_reads_its_request_and_sees_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNERY_SECRET", "x")
    code = """
import json, os, sys
asked = json.load(sys.stdin)
print(json.dumps({"type": "refused", "code": asked["file"], "message": " ".join(os.environ)}))
"""
    (said,) = await running(code)(SPEC)
    assert said.type == "refused"
    assert said.code == "/files/file-a"
    assert "TUNERY_SECRET" not in said.message


async def test_one_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="takes too long") as raised:
        await running(hanging(tmp_path / "pids"), showing_s=1.0)(SPEC)
    assert raised.value.param == "training_file"
    (pid,) = await begun(tmp_path / "pids", 1)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_one_that_nobody_waits_for_is_killed(tmp_path: Path) -> None:
    asking = asyncio.ensure_future(running(hanging(tmp_path / "pids"))(SPEC))
    (pid,) = await begun(tmp_path / "pids", 1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_more_than_may_wait_are_refused(tmp_path: Path) -> None:
    processes = running(hanging(tmp_path / "pids"), places=1, line=1)
    asking = [asyncio.ensure_future(processes(SPEC)) for _ in range(2)]
    await begun(tmp_path / "pids", 1)
    with pytest.raises(Overloaded):
        await processes(SPEC)
    for task in asking:
        task.cancel()
    await asyncio.wait(asking)
    # Both the place and the one in line are free again.
    line = a_survey().model_dump_json()
    processes._command = (sys.executable, "-c", f"print({line!r})")
    assert await processes(SPEC) == (a_survey(),)

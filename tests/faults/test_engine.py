"""An engine that dies amid answers, and one that hangs; about 15 seconds."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx2
import pytest

from tests.engines import Fault
from tests.faults.stack import Stack, started
from tests.promises import TOOK_S
from tests.queues import until
from tunery_server.engine.vllm_http import VllmEngine
from tunery_server.supervisor.service import Service, Spec
from tunery_server.supervisor.watchdog import Watchdog

pytestmark = [pytest.mark.timeout(300)]

STREAMS, PLAIN = 20, 5
ANSWERED_S = 2.0
PATIENCE_S = 1.0
Record = Callable[[str, object], None]


def ask(stack: Stack, *, stream: bool) -> tuple[int, str]:
    """Status and text of an answer, however it ends."""
    body = {
        "model": stack.settings.base_model_name,
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": stream,
    }
    with stack.http() as http:
        answer = http.post("/v1/chat/completions", json=body)
    if answer.status_code == httpx2.codes.SERVICE_UNAVAILABLE:
        assert int(answer.headers["retry-after"]) > 0
    return answer.status_code, answer.text


def ready(stack: Stack) -> bool:
    with stack.http() as http:
        return http.get("/readyz").status_code == httpx2.codes.OK


def running(stack: Stack) -> float:
    """Requests inside the engine, as the gateway counts them."""
    with stack.http() as http:
        lines = http.get("/metrics").text.splitlines()
    [line] = [line for line in lines if line.startswith("tunery_requests_running ")]
    return float(line.split()[1])


@pytest.mark.promise("P16", fault="SIGKILL of the engine amid 20 streams and 5 whole answers")
def test_every_request_is_answered_and_service_returns(
    tmp_path: Path, record_property: Record
) -> None:
    (tmp_path / "tiny").mkdir()  # nobody looks into the base model
    with (
        started(tmp_path / "home", tmp_path / "tiny") as stack,
        ThreadPoolExecutor(STREAMS + PLAIN) as pool,
    ):
        stack.start_gateway()
        until(lambda: ready(stack), within_s=30)
        stack.order(Fault.STALLS)
        streams = [pool.submit(ask, stack, stream=True) for _ in range(STREAMS)]
        plain = [pool.submit(ask, stack, stream=False) for _ in range(PLAIN)]
        until(lambda: running(stack) == STREAMS + PLAIN, within_s=30)
        killed_at = time.monotonic()
        stack.engine.kill()
        answers = [answer.result(30) for answer in (*streams, *plain)]
        assert time.monotonic() - killed_at < ANSWERED_S
        for status, text in answers[:STREAMS]:
            assert status == httpx2.codes.OK
            assert '"error"' in text.rstrip().splitlines()[-1]
            assert "[DONE]" not in text
        for status, text in answers[STREAMS:]:
            assert status == httpx2.codes.SERVICE_UNAVAILABLE
            assert '"engine_restarting"' in text
        assert not ready(stack)
        stack.start_engine()
        until(lambda: ready(stack), within_s=60)
        record_property(TOOK_S, time.monotonic() - killed_at)
        assert ask(stack, stream=False)[0] == httpx2.codes.OK


async def felt(engine: VllmEngine) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                if await engine.pulse(PATIENCE_S):
                    return
            except Exception:  # it is starting
                await asyncio.sleep(0.05)


@pytest.mark.promise("P17", fault="SIGSTOP of the engine")
async def test_a_frozen_engine_is_killed_and_starts_again(
    tmp_path: Path, record_property: Record
) -> None:
    socket = tmp_path / "engine.sock"
    spec = Spec(
        name="engine",
        command=[sys.executable, "-m", "tests.faults.engine_process", str(socket)],
        environment=lambda: dict(os.environ),
        log_file=tmp_path / "log",
        stop_grace_s=5.0,
    )
    service = Service(spec)
    engine = VllmEngine(socket, lambda: "key", request_timeout_s=5.0)
    watchdog = Watchdog(service, partial(engine.pulse, PATIENCE_S), interval_s=0.1)
    await service.start()
    watching = asyncio.create_task(watchdog.run())
    try:
        await felt(engine)
        await asyncio.sleep(3 * PATIENCE_S)
        first = service.pid
        assert first is not None
        frozen_at = time.monotonic()
        os.kill(first, signal.SIGSTOP)
        async with asyncio.timeout(30):
            while service.pid in {first, None}:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.05)
        await felt(engine)
        record_property(TOOK_S, time.monotonic() - frozen_at)
    finally:
        watching.cancel()
        await service.stop()
        await engine.close()

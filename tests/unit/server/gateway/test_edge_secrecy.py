"""What clients send is in no log and no metric: a real gateway at its most talkative."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.servers import free_port

from .composed import Gateway

PROMPT, ROW, NAME, WRONG_KEY = "Zanzibar-prompt", "Zanzibar-row", "Zanzibar-name", "Zanzibar-key"
ROWS = '{"messages":[{"role":"user","content":"%s"},{"role":"assistant","content":"b"}]}\n'
CHAT = {"model": "base", "messages": [{"role": "user", "content": PROMPT}]}


@dataclass(frozen=True)
class Process:
    """A gateway in a process of its own, with no engine behind it."""

    home: Gateway
    log: Path
    port: int

    def http(self, key: str) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", headers=headers)


@pytest.fixture
async def process(gateway: Gateway, tmp_path: Path) -> AsyncIterator[Process]:
    port, log = free_port(), tmp_path / "gateway.log"
    settings = gateway.settings
    environment = {
        **os.environ,
        "TUNERY_HOME": str(settings.home),
        "TUNERY_PORT": str(port),
        "TUNERY_SERVED_MODEL_NAME": "base",
        "TUNERY_LOG_LEVEL": "debug",
        "REDIS_URL": settings.redis,
    }
    with log.open("wb") as output:
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tunery_server", "gateway"),
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        process = Process(gateway, log, port)
        await answering(process)
        yield process
    finally:
        running.terminate()
        await running.wait()


async def answering(process: Process) -> None:
    async with asyncio.timeout(60), process.http("none") as http:
        while True:
            with contextlib.suppress(httpx2.TransportError):
                await http.get("/livez")
                return
            await asyncio.sleep(0.05)


async def misbehave(process: Process) -> None:
    """Everything that makes a gateway say something, with words that would be recognised."""
    async with process.http(process.home.key) as http:
        await http.post("/v1/chat/completions", json=CHAT)
        await http.post("/v1/chat/completions", json={**CHAT, "stream": True})
        await http.post("/v1/completions", json={"model": NAME, "prompt": PROMPT})
        await http.post("/v1/chat/completions", json={**CHAT, NAME: 1})
        await http.post("/v1/chat/completions", json={**CHAT, "messages": PROMPT})
        headers = {"Content-Type": "application/json"}
        await http.post("/v1/chat/completions", content=b'{"' + PROMPT.encode(), headers=headers)
        for text in (ROWS % ROW, (ROWS % ROW) * 10, f'{{"{ROW}": 1}}\n' * 10):
            form = {"data": {"purpose": "fine-tune"}, "files": {"file": (f"{NAME}.jsonl", text)}}
            made = await http.post("/v1/files", **form)
            if made.status_code == 200:
                body = {"model": "base", "training_file": made.json()["id"], "suffix": NAME}
                await http.post("/v1/fine_tuning/jobs", json=body)
        for path in (f"/v1/{NAME}", f"/v1/models/{NAME}", f"/v1/files/{NAME}?{NAME}={PROMPT}"):
            await http.get(path, headers={"X-Request-Id": "Zanzibar id", NAME: PROMPT})
        await http.request(NAME, "/v1/models")
    async with process.http(WRONG_KEY) as http:
        await http.get("/v1/models")
    _, writer = await asyncio.open_connection("127.0.0.1", process.port)
    writer.write(f"{PROMPT} {WRONG_KEY}\r\n\r\n".encode())
    await writer.drain()
    writer.close()


async def test_the_log_and_the_metrics_tell_nothing_of_it(process: Process) -> None:
    await misbehave(process)
    async with process.http(process.home.key) as http:
        metrics = (await http.get("/metrics")).text
    log = process.log.read_text()
    assert log.count("/v1/chat/completions") >= 5, "the log is not the talkative one"
    assert "tunery_http_requests_total" in metrics
    for text in (log, metrics):
        assert "Zanzibar" not in text
        assert process.home.key not in text
        assert process.home.key[-20:] not in text
        assert "Traceback" not in text


async def test_a_deadline_holds_in_the_real_process(process: Process) -> None:
    """The command runs with the same protocol as the tests of sockets."""
    reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
    writer.write(b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000)
    assert (await reader.readline()).startswith(b"HTTP/1.1 431 ")
    writer.close()

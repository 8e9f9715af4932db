"""A runner with everything real but the answers."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.rows import NOW, a_batch
from tunery_server.batches.attempt import Bench
from tunery_server.batches.parts import PartStore
from tunery_server.batches.publisher import Publisher
from tunery_server.batches.results import LineAnswer
from tunery_server.batches.runner import BatchRunner
from tunery_server.batches.transitions import FINAL
from tunery_server.batches.turns import Turns
from tunery_server.files.service import FileService
from tunery_server.files.store import FileStore
from tunery_server.records.batches import BatchRecords
from tunery_server.records.database import Database
from tunery_server.records.files import FileRecords
from tunery_server.records.rows import Batch, BatchStatus

LEASE_S = 20.0
URL = "/v1/chat/completions"


class Clock:
    """Time that a test moves on."""

    now = NOW

    def __call__(self) -> float:
        return self.now


async def until(condition: Callable[[], object]) -> None:
    """Return once it holds."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what it looks at is in files and in SQL
            await asyncio.sleep(0.01)


@dataclass
class Answers:
    """Answers lines, in the engine's place; ``script`` says how, by the line's number."""

    script: Callable[[int], LineAnswer | Exception | None] = lambda number: None
    asked: list[tuple[str, int]] = field(default_factory=list)
    """Tenant and number of every line, in order of asking."""
    stop_before: int | None = None
    """The line that has to wait for ``go``, with all after it."""
    go: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, tenant_id: str, endpoint: str, body: dict[str, Any]) -> LineAnswer:
        number = body["number"]
        if self.stop_before is not None and number >= self.stop_before:
            self.stopped.set()
            await self.go.wait()
        self.asked.append((tenant_id, number))
        answer = self.script(number)
        if isinstance(answer, Exception):
            raise answer
        usage = {"prompt_tokens": 3, "completion_tokens": 2}
        return answer or LineAnswer(200, {"number": number, "usage": usage})

    def numbers(self) -> list[int]:
        return [number for _, number in self.asked]


@dataclass
class Shop:
    """A bench, and what a test does with it."""

    bench: Bench
    files: FileService
    answers: Answers
    clock: Clock
    pauses: list[float]

    def submit(self, lines: int, *, tenant: str = "acme", **values: Any) -> Batch:
        rows = [
            {"custom_id": f"line-{n}", "method": "POST", "url": URL, "body": {"number": n}}
            for n in range(lines)
        ]
        return self.submit_text("".join(json.dumps(row) + "\n" for row in rows), tenant, **values)

    def submit_text(self, text: str, tenant: str = "acme", **values: Any) -> Batch:
        file = self.files.create(
            tenant, filename="in.jsonl", purpose="batch", chunks=[text.encode()]
        )
        batch = a_batch(tenant_id=tenant, input_file=file.id, endpoint=URL, **values)
        self.bench.batches.add(batch)
        return batch

    @contextlib.asynccontextmanager
    async def running(self, **changes: Any) -> AsyncIterator[asyncio.Task[None]]:
        """A runner at work, which is cancelled at the end as by a server that stops."""
        runner = BatchRunner(replace(self.bench, **changes), poll_s=0.01)
        task = asyncio.create_task(runner.run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def ended(self, batch: Batch) -> Batch:
        return await self.reached(batch, *FINAL)

    async def reached(self, batch: Batch, *statuses: BatchStatus) -> Batch:
        await until(lambda: self.now(batch).status in statuses)
        return self.now(batch)

    async def run(self, batch: Batch) -> Batch:
        async with self.running():
            ended = await self.ended(batch)
            await until(lambda: batch.id not in self.bench.parts.batch_ids())
        return ended

    def now(self, batch: Batch) -> Batch:
        current = self.bench.batches.get_any(batch.id)
        assert current is not None
        return current

    def rows(self, batch: Batch, file_id: str | None) -> dict[str, dict[str, Any]]:
        """Lines of a result file by custom_id; there is none twice."""
        if file_id is None:
            return {}
        file, chunks = self.files.content(batch.tenant_id, file_id)
        assert file.purpose == "batch_output"
        rows = [json.loads(line) for line in b"".join(chunks).splitlines()]
        assert len({row["custom_id"] for row in rows}) == len(rows)
        assert len({row["id"] for row in rows}) == len(rows)
        return {row["custom_id"]: row for row in rows}

    def results(self, batch: Batch) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.rows(batch, batch.output_file), self.rows(batch, batch.error_file)


@pytest.fixture
def shop(database: Database, tmp_path: Path) -> Shop:
    clock, answers, pauses = Clock(), Answers(), list[float]()
    store = FileStore(tmp_path / "files", max_bytes=10**9)
    files = FileService(files=FileRecords(database), store=store, in_use=[], clock=clock)

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    bench = Bench(
        batches=BatchRecords(database),
        input_path=store.path,
        parts=PartStore(tmp_path / "batches"),
        publisher=Publisher(files),
        ask=answers,
        turns=Turns(4),
        heavy=asyncio.Semaphore(),
        clock=clock,
        pause=pause,
        lease_s=LEASE_S,
        look_s=0.01,
    )
    return Shop(bench, files, answers, clock, pauses)

"""What goes on in a soak: everything at once, in loops that go on until they are cancelled.

Chats that are read and chats that are left, over all adapters; bad input; files, jobs and aliases
that come and go. Whatever is answered has to be what was due.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import httpx2

from tests.faults.stack import HYPERPARAMETERS, START_S, Stack, rows

READERS, LEAVERS = 4, 2
PAUSE_S = 0.05
"""Of each loop between two requests; it keeps a small machine from being the bottleneck."""
JOB_EVERY_S = 45.0
"""Time between two jobs that are run to their end; each takes a trainer's imports."""
JOBS = "/v1/fine_tuning/jobs"
CHATS = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "hi"}]


class Load:
    """The clients. ``answers`` counts by loop and status, ``wrong`` tells what was not due."""

    def __init__(self, stack: Stack, http: httpx2.AsyncClient, adapters: Sequence[str]) -> None:
        self._http = http
        self._base = stack.settings.base_model_name
        self._models = [self._base, *adapters]
        self._chance = random.Random(7)  # noqa: S311 - a test
        self.answers: Counter[tuple[str, int]] = Counter()
        self.wrong: list[str] = []

    async def run(self) -> None:
        """Until cancelled."""
        loops = [*[self.read] * READERS, *[self.leave] * LEAVERS]
        loops += [self.err, self.cancel_a_job, self.change_an_alias]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._forever(self.train, JOB_EVERY_S))
            for each in loops:
                group.create_task(self._forever(each, PAUSE_S))

    async def read(self) -> None:
        """A chat, whole, as a stream or not."""
        stream = self._chance.random() < 0.5
        answer = await self._http.post(CHATS, json=self._chat(stream=stream))
        self._count("read", answer, 200)
        if stream and not answer.text.endswith("data: [DONE]\n\n"):
            self.wrong.append(f"a stream ended with {answer.text[-80:]!r}")

    async def leave(self) -> None:
        """A stream that is left after its first bytes, or before them."""
        chat = self._chat(stream=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._chance.uniform(0.005, 0.3)):
                async with self._http.stream("POST", CHATS, json=chat) as answer:
                    self._count("leave", answer, 200)
                    async for _ in answer.aiter_bytes():
                        break
                return
        self.answers["leave", 0] += 1

    async def err(self) -> None:
        """What no gateway should take."""
        bodies: list[tuple[bytes, int]] = [
            (b"{", 400),
            (b'{"model": 5}', 400),
            (b'{"model": "base", "messages": [], "n": NaN}', 400),
            (b"[" * 10_000, 400),
            (b'{"model": "ft:nobody:else", "messages": [{"role": "user", "content": "a"}]}', 404),
        ]
        body, due = self._chance.choice(bodies)
        headers = {"Content-Type": "application/json"}
        answer = await self._http.post(CHATS, content=body, headers=headers)
        self._count("err", answer, due)

    async def cancel_a_job(self) -> None:
        """A file and a job of it, both taken back."""
        file_id, job_id = await self._job()
        self._count("jobs", await self._http.post(f"{JOBS}/{job_id}/cancel"), 200)
        self._count("files", await self._http.delete(f"/v1/files/{file_id}"), 200)

    async def train(self) -> None:
        """A job that is run to its end, and all that came of it deleted."""
        file_id, job_id = await self._job()
        job = {"status": "queued"}
        while job["status"] in {"queued", "running"}:
            await asyncio.sleep(1)
            job = (await self._http.get(f"{JOBS}/{job_id}")).json()
        if job["status"] != "succeeded":
            self.wrong.append(f"a job is {job}")
            return
        answer = await self._http.get(f"{JOBS}/{job_id}/checkpoints")
        names = {point["fine_tuned_model_checkpoint"] for point in answer.json()["data"]}
        for name in names | {job["fine_tuned_model"]}:
            self._count("trained", await self._http.delete(f"/v1/models/{name}"), 200)
        for each in [file_id, *job["result_files"]]:
            self._count("files", await self._http.delete(f"/v1/files/{each}"), 200)

    async def change_an_alias(self) -> None:
        """Give, ask, take away."""
        name = f"bot-{self._chance.randrange(5)}"
        model = self._chance.choice(self._models)
        made = await self._http.post("/v1/aliases", json={"name": name, "model": model})
        self._count("aliases", made, 200)
        asked = await self._http.post(CHATS, json={"model": name, "messages": MESSAGES})
        self._count("aliases", asked, 200)
        self._count("aliases", await self._http.delete(f"/v1/aliases/{name}"), 200)

    async def _job(self) -> tuple[str, str]:
        files = {"file": ("rows.jsonl", rows())}
        made = await self._http.post("/v1/files", data={"purpose": "fine-tune"}, files=files)
        self._count("files", made, 200)
        file_id = made.json()["id"]
        body = {"model": self._base, "training_file": file_id, "seed": 7}
        job = await self._http.post(JOBS, json={**body, "hyperparameters": HYPERPARAMETERS})
        self._count("jobs", job, 200)
        return file_id, job.json()["id"]

    async def _forever(self, act: Callable[[], Awaitable[None]], pause_s: float) -> None:
        while True:
            await act()
            await asyncio.sleep(pause_s)

    def _chat(self, *, stream: bool) -> dict[str, object]:
        model = self._chance.choice(self._models)
        return {"model": model, "messages": MESSAGES, "stream": stream}

    def _count(self, loop: str, answer: httpx2.Response, due: int) -> None:
        self.answers[loop, answer.status_code] += 1
        if answer.status_code != due:
            self.wrong.append(f"{loop}: {answer.status_code} instead of {due}: {answer.url}")


@asynccontextmanager
async def under_load(stack: Stack, adapters: Sequence[str]) -> AsyncIterator[Load]:
    """The load goes on within; an error of it ends what is within."""
    headers = {"Authorization": f"Bearer {stack.admin_key}"}
    async with httpx2.AsyncClient(base_url=stack.url, headers=headers, timeout=START_S) as http:
        load = Load(stack, http, adapters)
        running = asyncio.create_task(load.run())
        try:
            yield load
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

"""How long after its last step a fine-tuned adapter answers.

A small job is run to its end by a client that follows it and asks the new adapter at once. From the
last optimiser step, by the time that the record gives its event, to the first token: that is
writing the adapter, publishing it, loading it into the engine, telling the client, and the answer.
"""

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from benchmarks.benchmark import Benchmark, Claim, Figures, Form, Load
from benchmarks.served import Served, ask, served
from tests.pirates import pirate_rows
from tests.servers import MODEL_NAME
from tunery import Tunery
from tunery_server.records.database import Database
from tunery_server.records.job_history import JobHistory

PROMPT = 16
_SECONDS = "last step to first token"


class Job:
    """One fine-tune of three steps, and the question to what it made."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._draws = random.Random(0)  # noqa: S311 - a load is no secret

    def __call__(self) -> Figures:
        server = self._served.server
        with Tunery(base_url=f"{server.url}/v1", api_key=server.key) as client:
            job_id, model = self._trained(client)
        first_token = asyncio.run(self._first_token(model))
        return {_SECONDS: first_token - self._last_step(job_id)}

    def _trained(self, client: Tunery) -> tuple[str, str]:
        file = client.files.create(file=("rows.jsonl", pirate_rows()), purpose="fine-tune")
        job = client.fine_tuning.jobs.create(
            model=MODEL_NAME,
            training_file=file.id,
            method={
                "type": "supervised",
                "supervised": {"hyperparameters": {"n_epochs": 1, "batch_size": 4}},
            },
        )
        *_, last = client.follow(job.id)
        return job.id, last.result()

    async def _first_token(self, model: str) -> float:
        """When it came, in Unix time."""
        one = ask(self._draws, key=self._served.server.key, model=model, prompt=PROMPT, tokens=1)
        async with self._served.clients() as clients:
            asked = time.time()
            return asked + (await clients.send(one)).ttft

    def _last_step(self, job_id: str) -> float:
        """When it was taken, in Unix time."""
        with closing(Database(f"sqlite:///{self._served.server.home / 'tunery.db'}")) as database:
            events = JobHistory(database).events_after(job_id, 0, limit=1000)
        return max(event.created_at for event in events if "train_loss" in (event.data or {}))


@contextmanager
def _open() -> Iterator[Sequence[Load]]:
    with served() as running:
        yield [Job(running)]


BENCHMARK = Benchmark(
    id="C3",
    title="From the last step of a job to the first token of its adapter",
    load="the bundled model, an idle engine, a job of three steps, followed by its events",
    claims=(
        Claim(
            id="C3",
            says="last optimiser step of a job to the first token of its adapter, to a client "
            "that follows the job",
            unit="s",
            numerator=_SECONDS,
            form=Form.FIGURE,
            bar=2.0,
            moonshot=0.3,
        ),
    ),
    open=_open,
)

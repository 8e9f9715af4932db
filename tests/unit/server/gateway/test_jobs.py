"""Fine-tuning jobs through the whole gateway, as far as the worker."""

from dataclasses import replace

import openai
import pytest
import redis
from openai import AsyncOpenAI

from tests.rows import NOW, a_job, an_adapter
from tunery_server.gateway.app import create_app
from tunery_server.records.job_history import JobHistory
from tunery_server.records.jobs import JobRecords
from tunery_server.records.keys import KeyRecords
from tunery_server.records.rows import JobCheckpoint, JobStatus
from tunery_server.records.tenant_rows import TenantPolicy
from tunery_server.records.tenants import TenantPolicies

from .composed import Gateway
from .test_files import ROW

TYPED = [status for status in JobStatus if status not in {JobStatus.PAUSING, JobStatus.PAUSED}]
"""The states that the client's types list; it takes the others as they come, if not strictly."""


async def create(client: AsyncOpenAI, **values: object) -> str:
    file = await client.files.create(file=("a.jsonl", 12 * ROW), purpose="fine-tune")
    job = await client.fine_tuning.jobs.create(
        model="base", training_file=file.id, extra_body=values
    )
    return job.id


async def test_the_stock_client_makes_and_cancels_a_job(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        file = await client.files.create(file=("a.jsonl", 12 * ROW), purpose="fine-tune")
        job = await client.fine_tuning.jobs.create(
            model="base",
            training_file=file.id,
            suffix="pirate",
            seed=7,
            metadata={"team": "a b"},
            method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}},
            extra_body={"lora": {"rank": 4, "quantization": "nf4"}},
        )
        assert (job.status, job.seed, job.metadata) == ("queued", 7, {"team": "a b"})
        assert job.hyperparameters.n_epochs == 2
        assert job.error is None
        assert job.fine_tuned_model is None
        assert job.model_extra is not None
        assert job.model_extra["lora"]["rank"] == 4
        assert job.model_extra["lora"]["alpha"] == 8
        looked_up = await client.fine_tuning.jobs.retrieve(job.id)
        assert looked_up.model_extra is not None
        assert looked_up.model_extra["queue_position"] == 1
        events = [e.message async for e in client.fine_tuning.jobs.list_events(job.id, limit=1)]
        assert len(events) == 2
        cancelled = await client.fine_tuning.jobs.cancel(job.id)
        assert cancelled.status == "cancelled"
        assert (await client.fine_tuning.jobs.cancel(job.id)).finished_at == cancelled.finished_at


async def test_a_job_remembers_whose_key_asked_for_it(gateway: Gateway) -> None:
    async with gateway.openai(gateway.rival_key) as client:
        job = JobRecords(gateway.database).get_any(await create(client))
        [key] = KeyRecords(gateway.database).of_tenant("rival", after=None, limit=9).items
    assert job is not None
    assert job.key_id == key.id


async def test_hyperparameters_may_be_auto(gateway: Gateway) -> None:
    auto = {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}
    async with gateway.openai() as client:
        job = await client.fine_tuning.jobs.retrieve(await create(client, hyperparameters=auto))
    assert isinstance(job.hyperparameters.n_epochs, int)
    assert isinstance(job.hyperparameters.batch_size, int)
    assert job.hyperparameters.learning_rate_multiplier == 1.0


async def test_a_file_stays_while_its_job_waits(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        job_id = await create(client)
        job = await client.fine_tuning.jobs.retrieve(job_id)
        with pytest.raises(openai.BadRequestError) as raised:
            await client.files.delete(job.training_file)
        assert raised.value.code == "file_in_use"
        await client.fine_tuning.jobs.cancel(job_id)
        await client.files.delete(job.training_file)


async def test_a_job_of_any_state_passes_the_stock_client(gateway: Gateway) -> None:
    jobs = JobRecords(gateway.database)
    for number, status in enumerate(TYPED):
        failed = {"code": "x", "message": "y", "param": None}
        jobs.add(
            a_job(
                status=status,
                created_at=NOW + number,
                started_at=NOW + 0.5,
                finished_at=NOW + 1.5,
                estimated_finish=NOW + 2.5,
                error=failed if status is JobStatus.FAILED else None,
            )
        )
    async with gateway.openai() as client:
        found = [job.status async for job in client.fine_tuning.jobs.list(limit=2)]
    assert found == [str(status) for status in TYPED][::-1]


async def test_the_stock_client_pauses_and_resumes(gateway: Gateway) -> None:
    loose = AsyncOpenAI(
        base_url="http://tunery/v1", api_key=gateway.key, http_client=gateway.http()
    )
    async with gateway.openai() as strict, loose:
        job_id = await create(strict)
        jobs = loose.fine_tuning.jobs
        for _ in range(2):
            assert (await jobs.pause(job_id)).status == "paused"  # type: ignore[comparison-overlap]
        assert [str(job.status) async for job in jobs.list()] == ["paused"]
        for _ in range(2):
            assert (await strict.fine_tuning.jobs.resume(job_id)).status == "queued"
        assert (await jobs.retrieve(job_id)).model_extra["queue_position"] == 1  # type: ignore[index]
        await jobs.pause(job_id)
        assert (await jobs.cancel(job_id)).status == "cancelled"
        for act in (jobs.pause, jobs.resume):
            with pytest.raises(openai.BadRequestError) as raised:
                await act(job_id)
            assert raised.value.code in {"job_not_pausable", "job_not_resumable"}
            assert raised.value.param == "fine_tuning_job_id"


async def test_jobs_are_found_by_metadata(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        red = await create(client, metadata={"team": "a b"})
        await create(client, metadata={"team": "c"})
        found = [job.id async for job in client.fine_tuning.jobs.list(metadata={"team": "a b"})]
    assert found == [red]


async def test_jobs_without_metadata_are_found(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        await create(client, metadata={"team": "c"})
        bare = await create(client)
        null = {"metadata": "null"}
        assert [job.id async for job in client.fine_tuning.jobs.list(extra_query=null)] == [bare]


async def test_lists_end_and_unknown_parameters_are_ignored(gateway: Gateway) -> None:
    async with gateway.http() as http, gateway.openai() as client:
        made = [await create(client) for _ in range(3)]
        path = "/v1/fine_tuning/jobs?unknown=1&limit="
        two = (await http.get(path + "2")).json()
        rest = (await http.get(f"{path}2&after={two['data'][-1]['id']}")).json()
        assert (two["has_more"], rest["has_more"]) == (True, False)
        assert [job["id"] for job in two["data"] + rest["data"]] == made[::-1]
        none = (await http.get(path + "0")).json()
        assert (none["data"], none["has_more"]) == ([], True)


async def test_what_openais_clients_may_say_of_a_job(gateway: Gateway) -> None:
    """Settings of a method that was not chosen, an integration, one file for both purposes."""
    async with gateway.openai() as client:
        file = await client.files.create(file=("a.jsonl", 12 * ROW), purpose="fine-tune")
        job = await client.fine_tuning.jobs.create(
            model="base",
            training_file=file.id,
            validation_file=file.id,
            hyperparameters={"n_epochs": 9},
            method={
                "type": "supervised",
                "dpo": {"hyperparameters": {"beta": "auto"}},
                "supervised": {"hyperparameters": {"n_epochs": 2}},
            },
            integrations=[{"type": "wandb", "wandb": {"project": "p", "tags": ["t"]}}],
            extra_body={"seed": None, "suffix": None},
        )
        assert job.hyperparameters.n_epochs == 2
        assert job.integrations is not None
        assert job.integrations[0].wandb.tags == ["t"]
        events = [event async for event in client.fine_tuning.jobs.list_events(job.id)]
    warnings = [event.message for event in events if event.level == "warn"]
    assert ["Integrations" in warnings[0], "validation" in warnings[1]] == [True, True]


async def test_checkpoints_pass_the_stock_client(gateway: Gateway) -> None:
    job = a_job(status=JobStatus.RUNNING, attempt=1)
    JobRecords(gateway.database).add(job)
    for step in (10, 20):
        checkpoint = JobCheckpoint(
            id=f"ftckpt_{step}",
            job_id=job.id,
            step=step,
            model=f"m:ckpt-step-{step}",
            metrics={"step": float(step), "train_loss": 0.5},
            created_at=NOW + 0.5,
        )
        JobHistory(gateway.database).add_checkpoint(checkpoint, an_adapter(), attempt=1)
    async with gateway.openai() as client:
        pages = client.fine_tuning.jobs.checkpoints.list(job.id, limit=1)
        found = [checkpoint.step_number async for checkpoint in pages]
    assert found == [20, 10]


async def test_another_tenants_job_is_an_absent_one(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        job_id = await create(client)
    absent = "ftjob-" + "0" * 32
    async with gateway.http(gateway.rival_key) as http:
        for method, path in [
            ("GET", "/{}"),
            ("POST", "/{}/cancel"),
            ("POST", "/{}/pause"),
            ("POST", "/{}/resume"),
            ("GET", "/{}/events"),
            ("GET", "/{}/checkpoints"),
        ]:
            theirs = await http.request(method, "/v1/fine_tuning/jobs" + path.format(job_id))
            none = await http.request(method, "/v1/fine_tuning/jobs" + path.format(absent))
            assert theirs.status_code == none.status_code == 404
            assert theirs.text == none.text.replace(absent, job_id)
        mine = await http.get("/v1/files")
        assert mine.json()["data"] == []
    async with gateway.openai() as client:
        assert (await client.fine_tuning.jobs.retrieve(job_id)).status == "queued"


async def test_another_tenants_file_trains_nothing(gateway: Gateway) -> None:
    async with gateway.openai(gateway.rival_key) as rival:
        file = await rival.files.create(file=("a.jsonl", 12 * ROW), purpose="fine-tune")
    async with gateway.openai() as client:
        with pytest.raises(openai.NotFoundError) as raised:
            await client.fine_tuning.jobs.create(model="base", training_file=file.id)
    assert raised.value.param == "training_file"


@pytest.mark.promise("P9", fault="jobs are created, read and cancelled while Redis is away")
async def test_without_redis_jobs_are_refused_and_can_be_read(gateway: Gateway) -> None:
    nobody = gateway.settings.model_copy(update={"redis_url": "unix:///nonexistent/valkey.sock"})
    alone = replace(gateway, app=create_app(nobody, gateway.engine))
    async with gateway.openai() as client:
        job_id = await create(client)
    async with alone.openai() as client:
        with pytest.raises(openai.InternalServerError) as raised:
            await create(client)
        assert raised.value.status_code == 503
        assert raised.value.code == "server_is_overloaded"
        assert [job.id async for job in client.fine_tuning.jobs.list()] == [job_id]
        assert (await client.fine_tuning.jobs.retrieve(job_id)).status == "queued"
        assert (await client.fine_tuning.jobs.cancel(job_id)).status == "cancelled"


@pytest.mark.promise("P10", fault="jobs are created while Redis has no memory left")
async def test_a_queue_without_room_takes_no_job(gateway: Gateway) -> None:
    server = redis.Redis.from_url(gateway.settings.redis)
    async with gateway.http() as http, gateway.openai() as client:
        file = await client.files.create(file=("a.jsonl", 12 * ROW), purpose="fine-tune")
        body = {"model": "base", "training_file": file.id}
        server.config_set("maxmemory", "1")
        try:
            refused = await http.post("/v1/fine_tuning/jobs", json=body)
        finally:
            server.config_set("maxmemory", "0")
        assert (refused.status_code, refused.json()["error"]["code"]) == (
            503,
            "server_is_overloaded",
        )
        assert int(refused.headers["retry-after"]) >= 1
        assert [job.id async for job in client.fine_tuning.jobs.list()] == []
        assert (await http.post("/v1/fine_tuning/jobs", json=body)).status_code == 200


async def test_priority_decides_the_place_among_the_tenants_own_jobs(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        usual, urgent = await create(client), await create(client, priority=7)
        jobs = {job.id: job.model_extra or {} async for job in client.fine_tuning.jobs.list()}
    assert (jobs[usual]["queue_position"], jobs[urgent]["queue_position"]) == (2, 1)
    assert (jobs[usual]["priority"], jobs[urgent]["priority"]) == (0, 7)


async def test_more_jobs_than_a_tenant_may_have_wait_in_vain(gateway: Gateway) -> None:
    TenantPolicies(gateway.database, TenantPolicy(tenant_id="")).set("acme", max_waiting=2)
    async with gateway.http() as http, gateway.openai() as client:
        first, _ = await create(client), await create(client)
        file = await client.files.create(file=("a.jsonl", 12 * ROW), purpose="fine-tune")
        body = {"model": "base", "training_file": file.id}
        refused = await http.post("/v1/fine_tuning/jobs", json=body)
        assert (refused.status_code, refused.headers["x-should-retry"]) == (429, "false")
        error = refused.json()["error"]
        assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
        await client.fine_tuning.jobs.cancel(first)
        assert (await http.post("/v1/fine_tuning/jobs", json=body)).status_code == 200
    async with gateway.openai(gateway.rival_key) as rival:
        await create(rival)

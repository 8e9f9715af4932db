import asyncio

from tests.engines import Fault
from tests.rows import a_job
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import JobStatus

from .composed import Gateway


async def test_readiness_follows_the_engine(gateway: Gateway) -> None:
    residency = gateway.app.state.services.residency
    async with gateway.http() as http:
        assert (await http.get("/readyz")).json() == {"status": "ready"}
        residency.observe(None)
        answer = await http.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "engine_starting"
        assert (await http.get("/livez")).status_code == 200


async def test_the_monitor_sees_the_engine_come(gateway: Gateway) -> None:
    gateway.app.state.services.residency.observe(None)
    gateway.engine.asked.clear()
    async with gateway.running(), gateway.http() as http:
        async with asyncio.timeout(60):
            await gateway.engine.asked.wait()
        assert (await http.get("/readyz")).status_code == 200


async def test_metrics_count_routes_and_never_what_a_client_made_up(gateway: Gateway) -> None:
    async with gateway.http() as http:
        await http.get("/v1/files/file-made-up")
        await http.get("/made-up")
        await http.request("MADEUP", "/v1/models")
        text = (await http.get("/metrics")).text
    assert 'method="GET",route="/v1/files/{file_id}",status="404"' in text
    assert 'method="GET",route="unmatched",status="404"' in text
    assert 'method="other"' in text
    assert "made-up" not in text
    assert "MADEUP" not in text
    assert "vllm:scripted 1" in text


async def test_a_state_that_jobs_have_left_is_counted_as_empty(gateway: Gateway) -> None:
    jobs, job = JobRecords(gateway.database), a_job()
    jobs.add(job)
    async with gateway.http() as http:
        assert 'tunery_fine_tuning_jobs{status="queued"} 1.0' in (await http.get("/metrics")).text
        jobs.change(job.id, allowed=set(JobStatus), status=JobStatus.FAILED)
        assert 'tunery_fine_tuning_jobs{status="queued"} 0.0' in (await http.get("/metrics")).text


async def test_the_gateways_metrics_need_no_engine(gateway: Gateway) -> None:
    gateway.engine.fault = Fault.AWAY
    async with gateway.http() as http:
        answer = await http.get("/metrics")
    assert answer.status_code == 200
    assert "vllm:" not in answer.text

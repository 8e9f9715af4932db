"""A client that lost an answer sends its POST again: one create is one job, one upload one file."""

import asyncio

import httpx2
import openai
import pytest
from openai import AsyncOpenAI

from tunery import AsyncTunery

from .composed import Gateway
from .test_files import ROW

DATASET = ("a.jsonl", 12 * ROW)


class ForgetfulProxy(httpx2.AsyncBaseTransport):
    """Lets POSTs through and loses the answers to the first few."""

    def __init__(self, gateway: Gateway, losing: int) -> None:
        self._inner = httpx2.ASGITransport(gateway.app)
        self._losing = losing
        self.posts: list[httpx2.Request] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        if request.method == "POST":
            self.posts.append(request)
            if len(self.posts) <= self._losing:
                await response.aread()
                raise httpx2.ReadError("the connection was reset")
        return response


class HastyOpenAI(AsyncOpenAI):
    """The stock client, but it does not wait before it tries again."""

    def _calculate_retry_timeout(self, *_: object) -> float:  # type: ignore[override]
        return 0.0


class HastyTunery(AsyncTunery):
    def _calculate_retry_timeout(self, *_: object) -> float:  # type: ignore[override]
        return 0.0


def through(
    proxy: ForgetfulProxy, gateway: Gateway, kind: type[AsyncOpenAI] = HastyOpenAI
) -> AsyncOpenAI:
    return kind(
        base_url="http://tunery/v1",
        api_key=gateway.key,
        max_retries=2,
        http_client=httpx2.AsyncClient(transport=proxy),
    )


async def upload(gateway: Gateway) -> str:
    async with gateway.openai() as client:
        return (await client.files.create(file=DATASET, purpose="fine-tune")).id


@pytest.mark.promise("P15", fault="a proxy loses two answers; the stock client and ours")
@pytest.mark.parametrize("kind", [HastyOpenAI, HastyTunery])
async def test_three_posts_of_one_create_make_one_job(
    gateway: Gateway, kind: type[AsyncOpenAI]
) -> None:
    file_id = await upload(gateway)
    proxy = ForgetfulProxy(gateway, losing=2)
    async with through(proxy, gateway, kind) as client:
        job = await client.fine_tuning.jobs.create(model="base", training_file=file_id)
        counts = [request.headers["x-stainless-retry-count"] for request in proxy.posts]
        keys = {request.headers.get("idempotency-key") for request in proxy.posts}
        assert counts == ["0", "1", "2"]
        assert (keys == {None}) == (kind is HastyOpenAI)
        assert [found.id async for found in client.fine_tuning.jobs.list()] == [job.id]
        messages = [event.message async for event in client.fine_tuning.jobs.list_events(job.id)]
        assert len(messages) == 2
        again = await client.fine_tuning.jobs.create(model="base", training_file=file_id)
        assert again.id != job.id, "two deliberate creates are two jobs"


@pytest.mark.parametrize("kind", [HastyOpenAI, HastyTunery])
async def test_three_posts_of_one_upload_make_one_file(
    gateway: Gateway, kind: type[AsyncOpenAI]
) -> None:
    async with through(ForgetfulProxy(gateway, losing=2), gateway, kind) as client:
        file = await client.files.create(file=DATASET, purpose="fine-tune")
        assert [found.id async for found in client.files.list()] == [file.id]
        assert [path.name for path in (gateway.settings.home / "files").iterdir()] == [file.id]
        assert (await client.files.content(file.id)).content == DATASET[1]
        again = await client.files.create(file=DATASET, purpose="fine-tune")
        assert again.id != file.id


@pytest.mark.promise("P15", fault="50 POSTs with one key at once")
async def test_fifty_creates_with_one_key_at_once_make_one_job(gateway: Gateway) -> None:
    body = {"model": "base", "training_file": await upload(gateway)}
    headers = {"Idempotency-Key": "one"}
    async with gateway.http() as http:
        posts = [http.post("/v1/fine_tuning/jobs", json=body, headers=headers) for _ in range(50)]
        answers = await asyncio.gather(*posts)
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert len((await http.get("/v1/fine_tuning/jobs")).json()["data"]) == 1


async def test_a_repeat_finds_its_job_although_a_new_one_would_be_refused(
    gateway: Gateway,
) -> None:
    file_id = await upload(gateway)
    body = {"model": "base", "training_file": file_id}
    headers = {"Idempotency-Key": "one"}
    async with gateway.http() as http:
        first = (await http.post("/v1/fine_tuning/jobs", json=body, headers=headers)).json()
        await http.post(f"/v1/fine_tuning/jobs/{first['id']}/cancel")
        await http.delete(f"/v1/files/{file_id}")
        again = await http.post("/v1/fine_tuning/jobs", json=body, headers=headers)
        assert (again.status_code, again.json()["id"]) == (200, first["id"])
        refused = await http.post("/v1/fine_tuning/jobs", json=body)
        assert refused.status_code == 404


@pytest.mark.promise("P15", fault="one key with two bodies")
async def test_a_key_with_another_body_is_refused(gateway: Gateway) -> None:
    file_id = await upload(gateway)
    headers = {"Idempotency-Key": "one"}
    async with gateway.openai() as client:
        jobs = client.fine_tuning.jobs
        await jobs.create(model="base", training_file=file_id, extra_headers=headers)
        with pytest.raises(openai.UnprocessableEntityError) as raised:
            await jobs.create(model="base", training_file=file_id, seed=1, extra_headers=headers)
        assert (raised.value.code, raised.value.type) == (
            "idempotency_key_reused",
            "invalid_request_error",
        )
        await client.files.create(file=DATASET, purpose="fine-tune", extra_headers=headers)
        with pytest.raises(openai.UnprocessableEntityError):
            await client.files.create(
                file=("a.jsonl", 13 * ROW), purpose="fine-tune", extra_headers=headers
            )


async def test_another_tenant_may_use_the_same_key(gateway: Gateway) -> None:
    headers = {"Idempotency-Key": "one"}
    found = []
    for key in (gateway.key, gateway.rival_key):
        async with gateway.openai(key) as client:
            file = await client.files.create(
                file=DATASET, purpose="fine-tune", extra_headers=headers
            )
            found.append(file.id)
    assert len(set(found)) == 2


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "\u00e9"])
async def test_an_odd_key_is_refused(gateway: Gateway, key: str) -> None:
    async with gateway.http() as http:
        answer = await http.post(
            "/v1/fine_tuning/jobs",
            json={"model": "base", "training_file": "file-none"},
            headers=[(b"Idempotency-Key", key.encode("latin-1"))],
        )
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "idempotency-key"


@pytest.mark.parametrize("count", ["", "-1", "x", "1" * 99, "\u0661"])
async def test_an_odd_retry_count_counts_as_none(gateway: Gateway, count: str) -> None:
    headers = [(b"x-stainless-retry-count", count.encode())]
    body = {"model": "base", "training_file": await upload(gateway)}
    async with gateway.http() as http:
        made = [
            await http.post("/v1/fine_tuning/jobs", json=body, headers=headers) for _ in range(2)
        ]
    assert len({answer.json()["id"] for answer in made}) == 2

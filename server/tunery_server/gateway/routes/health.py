"""Liveness, readiness and metrics."""

import asyncio
import contextlib
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool

from tunery_server.errors import EngineRefused, EngineUnavailable
from tunery_server.gateway import openapi
from tunery_server.gateway.auth import ADMIN, Principal
from tunery_server.gateway.deps import Used, scoped
from tunery_server.serving.tiers import Tiers
from tunery_server.telemetry.metrics import BATCHES, JOBS, TASKS, WEBHOOKS_PENDING

public = APIRouter(tags=["health"])
guarded = APIRouter(tags=["health"])


@public.get("/livez")
async def livez() -> dict[str, str]:
    """200 while the gateway runs."""
    return {"status": "ok"}


@public.get("/readyz")
async def readyz(used: Used) -> dict[str, str]:
    """200 when the engine answers, else 503."""
    if not used.residency.ready:
        raise EngineUnavailable("The engine is starting.", code="engine_starting")
    return {"status": "ready"}


@guarded.get("/metrics", response_class=Response, responses=openapi.content("text/plain"))
async def metrics(caller: Annotated[Principal, Depends(scoped(ADMIN))], used: Used) -> Response:
    """The gateway's metrics and, while it answers, the engine's."""
    for status, count in (await run_in_threadpool(used.jobs.count_by_status)).items():
        JOBS.labels(status).set(count)
    for status, count in (await run_in_threadpool(used.batches.count_by_status)).items():
        BATCHES.labels(status).set(count)
    TASKS.set(len(asyncio.all_tasks()))
    WEBHOOKS_PENDING.set(await run_in_threadpool(used.webhooks.count_pending))
    await run_in_threadpool(used.job_statistics.look)
    tiers = Tiers(used.traffic.adapters, used.residency.tiers())
    text = await run_in_threadpool(_text, used.traffic, tiers, used.job_statistics)
    if used.residency.ready:
        with contextlib.suppress(EngineUnavailable, EngineRefused):
            text += await used.engine.metrics()
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def _text(*by_name: Collector) -> bytes:
    """This process's metrics. With many names they take long to write down; blocking."""
    named = CollectorRegistry()
    for collector in by_name:
        named.register(collector)
    return generate_latest() + generate_latest(named)

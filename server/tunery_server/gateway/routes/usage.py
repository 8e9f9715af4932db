"""``/v1/usage``, a tenant's own, and ``/v1/organization/usage/completions``, everybody's."""

import csv
import io
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BeforeValidator

from tunery_server.errors import InvalidRequest
from tunery_server.gateway import openapi
from tunery_server.gateway.auth import ADMIN, Principal
from tunery_server.gateway.deps import Used, authenticate, scoped
from tunery_server.gateway.protocol.usage import (
    DAY_S,
    StorageObject,
    UsageBucket,
    UsageList,
    UsageObject,
    UsagePage,
    UsageResult,
)
from tunery_server.records.usage_rows import HOUR_S, UsageQuery

router = APIRouter(prefix="/v1", tags=["usage"])

Caller = Annotated[Principal, Depends(authenticate)]
Admin = Annotated[Principal, Depends(scoped(ADMIN))]
Day = Annotated[date, BeforeValidator(date.fromisoformat)]
"""Without it a number would be taken for Unix time."""
Own = Literal["api_key_id", "model", "batch"]
Group = Literal["project_id", "api_key_id", "model", "batch"]

_FIELDS = {
    "project_id": "tenant_id",
    "api_key_id": "key_id",
    "model": "model",
    "batch": "background",
}
_MAX_DAYS = 366
_WIDTHS = {"1h": (HOUR_S, 24, 168), "1d": (DAY_S, 7, 31)}
"""Seconds, buckets unless asked, and buckets at most, as OpenAI has them."""


@router.get("/usage", response_model=UsageList, responses=openapi.content("text/csv"))
def own_usage(
    caller: Caller,
    used: Used,
    start: Annotated[Day | None, Query(description="First day (UTC); 30 days ago.")] = None,
    end: Annotated[Day | None, Query(description="Last day (UTC); today.")] = None,
    group_by: Annotated[list[Own], Query(alias="group_by[]")] = [],  # noqa: B006 - FastAPI copies
    format: Literal["json", "csv"] = "json",
) -> UsageList | Response:
    """What the caller's tenant used by day, and by what ``group_by[]`` names; what it keeps."""
    last = end or datetime.now(UTC).date()
    first = start or last - timedelta(days=30)
    if not timedelta(0) <= last - first <= timedelta(days=_MAX_DAYS):
        raise InvalidRequest(f"end has to be 0 to {_MAX_DAYS} days after start.", param="end")
    by = tuple(_FIELDS[name] for name in dict.fromkeys(group_by))
    asked = UsageQuery(
        start=_midnight(first),
        end=_midnight(last + timedelta(days=1)),
        width_s=DAY_S,
        by=by,
        tenants=[caller.tenant_id],
    )
    rows = used.usage.sums(asked)
    told = tuple(UsageObject.of(row, caller.tenant_id, by) for row in rows)
    if format == "csv":
        return _csv(told)
    storage = used.usage.storage(caller.tenant_id)
    return UsageList(data=told, storage=StorageObject.of(storage))


@router.get("/organization/usage/completions")
def completions(
    admin: Admin,
    used: Used,
    start_time: Annotated[int, Query(ge=0, le=2**33)],
    end_time: Annotated[int | None, Query(ge=0, le=2**33)] = None,
    bucket_width: Literal["1h", "1d"] = "1d",
    project_ids: Annotated[list[str] | None, Query(alias="project_ids[]")] = None,
    api_key_ids: Annotated[list[str] | None, Query(alias="api_key_ids[]")] = None,
    models: Annotated[list[str] | None, Query(alias="models[]")] = None,
    batch: bool | None = None,
    group_by: Annotated[list[Group], Query(alias="group_by[]")] = [],  # noqa: B006 - FastAPI copies
    limit: Annotated[int | None, Query(ge=1, le=168)] = None,
    page: Annotated[str | None, Query(pattern=r"^[0-9]{1,10}$")] = None,
) -> UsagePage:
    """What everybody used, in OpenAI's buckets. Periods in which nothing was used are empty."""
    width_s, default, most = _WIDTHS[bucket_width]
    buckets = limit or default
    if buckets > most:
        raise InvalidRequest(f"limit: at most {most} buckets of {bucket_width}.", param="limit")
    start = (int(page) if page else start_time) // width_s * width_s
    ends = end_time if end_time is not None else int(datetime.now(UTC).timestamp()) + 1
    end = min(start + buckets * width_s, ends)
    by = tuple(_FIELDS[name] for name in dict.fromkeys(group_by))
    asked = UsageQuery(
        start=start,
        end=end,
        width_s=width_s,
        by=by,
        tenants=project_ids,
        keys=api_key_ids,
        models=models,
        background=batch,
        inference=True,
    )
    results: dict[int, list[UsageResult]] = {at: [] for at in range(start, end, width_s)}
    for row in used.usage.sums(asked):
        results[row.key.hour].append(UsageResult.of(row, by))
    data = tuple(
        UsageBucket(start_time=at, end_time=at + width_s, results=tuple(found))
        for at, found in results.items()
    )
    return UsagePage(data=data, has_more=end < ends, next_page=str(end) if end < ends else None)


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _csv(told: Iterable[UsageObject]) -> Response:
    text = io.StringIO()
    columns = [name for name in UsageObject.model_fields if name != "object"]
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.model_dump(mode="json") for row in told)
    return Response(text.getvalue(), media_type="text/csv")

"""``/v1/files``."""

import re
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from tunery_server.errors import InvalidRequest
from tunery_server.files.arrival import NewFile
from tunery_server.gateway import openapi
from tunery_server.gateway.auth import FILES, Principal
from tunery_server.gateway.deps import After, Sent, Used, scoped
from tunery_server.gateway.multipart import Form, discarding, read_form
from tunery_server.gateway.protocol.files import (
    ANCHOR,
    MAX_EXPIRY_S,
    MIN_EXPIRY_S,
    SECONDS,
    UPLOAD_PURPOSES,
    FileDeleted,
    FileForm,
    FileList,
    FileObject,
    plain_name,
)

router = APIRouter(prefix="/v1/files", tags=["files"])

Caller = Annotated[Principal, Depends(scoped(FILES))]

_DIGITS = re.compile(r"[0-9]{1,9}")


@router.post("", openapi_extra=openapi.form_body(FileForm))
async def create(request: Request, caller: Caller, used: Used, sending: Sent) -> FileObject:
    """Upload a file. One with purpose ``fine-tune`` is checked line by line first."""
    async with discarding(used.files.incoming, caller.tenant_id) as incoming:
        form = await read_form(request, incoming, file="file", fields=("purpose", ANCHOR, SECONDS))
        new = _new_file(form, caller.tenant_id)
        file = await run_in_threadpool(used.files.receive, incoming, new, sending)
    return FileObject.of(file)


@router.get("")
def list_files(
    caller: Caller,
    used: Used,
    after: After = None,
    limit: Annotated[int, Query(ge=0, le=10_000)] = 10_000,
    order: Literal["asc", "desc"] = "desc",
    purpose: Annotated[str | None, Query(max_length=64)] = None,
) -> FileList:
    """The caller's files."""
    page = used.files.list(
        caller.tenant_id, purpose=purpose, after=after, limit=limit, ascending=order == "asc"
    )
    return FileList.of(page, FileObject.of)


@router.get("/{file_id}")
def retrieve(file_id: str, caller: Caller, used: Used) -> FileObject:
    """One file's description."""
    return FileObject.of(used.files.get(caller.tenant_id, file_id))


@router.get(
    "/{file_id}/content",
    response_class=StreamingResponse,
    responses=openapi.content("application/octet-stream"),
)
def content(file_id: str, caller: Caller, used: Used) -> StreamingResponse:
    """One file's bytes."""
    file, chunks = used.files.content(caller.tenant_id, file_id)
    headers = {"Content-Length": str(file.bytes)}
    return StreamingResponse(chunks, headers=headers, media_type="application/octet-stream")


@router.delete("/{file_id}")
def delete(file_id: str, caller: Caller, used: Used) -> FileDeleted:
    """Remove a file that no unfinished job reads."""
    used.files.delete(caller.tenant_id, file_id)
    return FileDeleted(id=file_id)


def _new_file(form: Form, tenant_id: str) -> NewFile:
    return NewFile(
        tenant_id=tenant_id,
        filename=_filename(form),
        purpose=_purpose(form),
        expires_after_s=_expiry(form),
    )


def _purpose(form: Form) -> str:
    purpose = form.required("purpose")
    if purpose not in UPLOAD_PURPOSES:
        allowed = ", ".join(UPLOAD_PURPOSES)
        raise InvalidRequest(f"purpose: must be one of {allowed}.", param="purpose")
    return purpose


def _expiry(form: Form) -> int | None:
    seconds = form.fields.get(SECONDS)
    if seconds is None and ANCHOR not in form.fields:
        return None
    if form.fields.get(ANCHOR) != "created_at":
        raise InvalidRequest(f"{ANCHOR}: must be created_at.", param=ANCHOR)
    if not (
        seconds and _DIGITS.fullmatch(seconds) and MIN_EXPIRY_S <= int(seconds) <= MAX_EXPIRY_S
    ):
        raise InvalidRequest(
            f"{SECONDS}: must be from {MIN_EXPIRY_S} to {MAX_EXPIRY_S}.", param=SECONDS
        )
    return int(seconds)


def _filename(form: Form) -> str:
    try:
        return plain_name(form.filename)
    except ValueError as error:
        raise InvalidRequest(f"file: {error}.", param="file") from None

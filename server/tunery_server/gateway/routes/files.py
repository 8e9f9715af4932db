"""``/v1/files``."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from tunery_server.errors import InvalidRequest, UnsupportedMediaType
from tunery_server.gateway import openapi
from tunery_server.gateway.auth import FILES, Principal
from tunery_server.gateway.deps import After, Sent, Used, scoped
from tunery_server.gateway.protocol.base import Deleted
from tunery_server.gateway.protocol.files import (
    MAX_EXPIRY_S,
    MIN_EXPIRY_S,
    UPLOAD_PURPOSES,
    FileForm,
    FileList,
    FileObject,
)

router = APIRouter(prefix="/v1/files", tags=["files"])

Caller = Annotated[Principal, Depends(scoped(FILES))]

_FIELDS = frozenset({"purpose", "file", "expires_after[anchor]", "expires_after[seconds]"})
_CHUNK_BYTES = 2**18
_MAX_FILENAME = 255
_SECONDS = re.compile(r"[0-9]{1,9}")


@router.post("", openapi_extra=openapi.form_body(FileForm))
async def create(request: Request, caller: Caller, used: Used, sending: Sent) -> FileObject:
    """Upload a file. One with purpose ``fine-tune`` is checked line by line first."""
    async with _form(request) as form:
        upload = _upload(form)
        file = await run_in_threadpool(
            used.files.create,
            caller.tenant_id,
            filename=_filename(upload),
            purpose=_purpose(form),
            chunks=_chunks(upload),
            expires_after_s=_expiry(form),
            sending=sending,
        )
    return FileObject.of(file)


@router.get("")
def list_files(
    caller: Caller,
    used: Used,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    order: Literal["asc", "desc"] = "desc",
    purpose: Annotated[str | None, Query(max_length=64)] = None,
) -> FileList:
    """The caller's files."""
    page = used.files.list(
        caller.tenant_id, purpose=purpose, after=after, limit=limit, ascending=order == "asc"
    )
    return FileList.of(page)


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
def delete(file_id: str, caller: Caller, used: Used) -> Deleted:
    """Remove a file that no unfinished job reads."""
    used.files.delete(caller.tenant_id, file_id)
    return Deleted(id=file_id, object="file")


class _form:
    """The request's multipart form, closed at the end. Raises InvalidRequest."""

    def __init__(self, request: Request) -> None:
        self._request = request

    async def __aenter__(self) -> FormData:
        media_type, options = parse_options_header(self._request.headers.get("content-type"))
        if media_type != b"multipart/form-data":
            raise UnsupportedMediaType("Send the file as multipart/form-data.")
        if options.get(b"charset", b"utf-8").lower() != b"utf-8":
            raise UnsupportedMediaType("Send the form in UTF-8.")
        try:
            form = await self._request.form(max_files=1, max_fields=len(_FIELDS))
        except HTTPException as error:  # what Starlette makes of a MultiPartException
            raise InvalidRequest(f"The form cannot be read: {error.detail}") from None
        if unknown := sorted(form.keys() - _FIELDS):
            raise InvalidRequest(
                f"Unknown field: {unknown[0][:64]}.",
                code="unknown_parameter",
                param=unknown[0][:64],
            )
        return form

    async def __aexit__(self, *_: object) -> None:
        await self._request.close()


def _upload(form: FormData) -> UploadFile:
    upload = form.get("file")
    if upload is None:
        raise _missing("file")
    if not isinstance(upload, UploadFile):
        raise InvalidRequest("file: must be a file.", code="invalid_type", param="file")
    return upload


def _purpose(form: FormData) -> str:
    purpose = form.get("purpose")
    if purpose is None:
        raise _missing("purpose")
    if purpose not in UPLOAD_PURPOSES:
        allowed = ", ".join(UPLOAD_PURPOSES)
        raise InvalidRequest(f"purpose: must be one of {allowed}.", param="purpose")
    return str(purpose)


def _expiry(form: FormData) -> int | None:
    seconds = form.get("expires_after[seconds]")
    if seconds is None and "expires_after[anchor]" not in form:
        return None
    if form.get("expires_after[anchor]") != "created_at":
        raise InvalidRequest(
            "expires_after[anchor]: must be created_at.", param="expires_after[anchor]"
        )
    text = str(seconds)
    if not (_SECONDS.fullmatch(text) and MIN_EXPIRY_S <= int(text) <= MAX_EXPIRY_S):
        raise InvalidRequest(
            f"expires_after[seconds]: must be from {MIN_EXPIRY_S} to {MAX_EXPIRY_S}.",
            param="expires_after[seconds]",
        )
    return int(text)


def _filename(upload: UploadFile) -> str:
    name = (upload.filename or "").rpartition("/")[2].strip()
    if not name or len(name) > _MAX_FILENAME or not name.isprintable():
        raise InvalidRequest(
            "file: needs a printable name of at most 255 characters.", param="file"
        )
    return name


def _chunks(upload: UploadFile) -> Iterator[bytes]:
    while chunk := upload.file.read(_CHUNK_BYTES):
        yield chunk


def _missing(param: str) -> InvalidRequest:
    return InvalidRequest(f"{param}: is required.", code="missing_required_parameter", param=param)

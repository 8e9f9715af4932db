"""A multipart form, read as it comes: small fields into memory, its one file straight to a sink.

Memory is bounded by :data:`BATCH_BYTES` a form, whatever its size; threads write the disk.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ParamSpec, Protocol, TypeVar

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from tunery_server.errors import InvalidRequest, UnsupportedMediaType
from tunery_server.gateway.disconnect import ClientGone

P = ParamSpec("P")

BATCH_BYTES = 2**20
MAX_FIELD_BYTES = 1024
MAX_OVERHEAD_BYTES = 2**16
"""All of a body but the file: boundaries, headers, fields, what stands before and after them."""

_MAX_DELIMITERS = 16
"""More than a form has; the parser takes a thousand times longer over one than over other bytes."""
_MAX_HEADERS = 8
_MAX_HEADER_BYTES = 4096


class Sink(Protocol):
    """Where a file goes. Blocking; one call at a time."""

    def write(self, chunk: bytes) -> None:
        """Append."""

    def discard(self) -> None:
        """No more comes; drop what was not kept."""


S = TypeVar("S", bound=Sink)


@dataclass(frozen=True, slots=True)
class Form:
    """Its fields, and the name of the file that went to the sink."""

    fields: Mapping[str, str]
    filename: str

    def required(self, name: str) -> str:
        """A field's text. Raises InvalidRequest."""
        if name not in self.fields:
            raise _missing(name)
        return self.fields[name]


@asynccontextmanager
async def discarding(make: Callable[P, S], *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[S]:
    """A sink that is made and, at the end, discarded in a thread."""
    sink = await run_in_threadpool(make, *args, **kwargs)
    try:
        yield sink
    finally:
        await run_in_threadpool(sink.discard)


async def read_form(
    request: Request, sink: Sink, *, file: str, fields: Collection[str] = ()
) -> Form:
    """Read the body to its end; the part ``file`` goes to ``sink``, in whatever place it comes.

    Raises InvalidRequest, UnsupportedMediaType, ClientGone, and what the sink raises.
    """
    reader = _FormReader(_boundary(request), file=file, fields=fields)
    try:
        async for chunk in request.stream():
            reader.feed(chunk)
            if reader.waiting_bytes >= BATCH_BYTES:
                await run_in_threadpool(sink.write, reader.take())
    except ClientDisconnect:
        raise ClientGone from None
    form = reader.form()
    await run_in_threadpool(sink.write, reader.take())
    return form


def _boundary(request: Request) -> bytes:
    media_type, options = parse_options_header(request.headers.get("content-type"))
    if media_type != b"multipart/form-data":
        raise UnsupportedMediaType("Send the file as multipart/form-data.")
    if options.get(b"charset", b"utf-8").lower() != b"utf-8":
        raise UnsupportedMediaType("Send the form in UTF-8.")
    boundary = options.get(b"boundary")
    if not boundary:
        raise InvalidRequest("The form has no boundary.")
    return boundary


class _FormReader:
    """Takes pieces of a body, and gives pieces of the file."""

    def __init__(self, boundary: bytes, *, file: str, fields: Collection[str]) -> None:
        self._file = file
        self._allowed = {file, *fields}
        self._parser = _parser(self, boundary)
        self._delimiter = b"\r\n--" + boundary
        self._delimiters = 0
        self._overhead = 0
        self._ended = False
        self._waiting: list[bytes] = []
        self._values: dict[str, bytearray] = {}
        self._filename: str | None = None
        self._current = ""
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""
        self.waiting_bytes = 0

    def feed(self, chunk: bytes) -> None:
        """Raises InvalidRequest as soon as something is wrong."""
        self._delimiters += chunk.count(self._delimiter)
        if self._delimiters > _MAX_DELIMITERS:
            raise InvalidRequest("The form's boundary stands inside of its file.")
        waited = self.waiting_bytes
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise _unreadable() from None
        self._overhead += len(chunk) - (self.waiting_bytes - waited)
        if self._overhead > MAX_OVERHEAD_BYTES:
            raise InvalidRequest(
                f"The form has more than {MAX_OVERHEAD_BYTES} bytes besides its file."
            )

    def take(self) -> bytes:
        """What has come of the file since the last time."""
        taken = b"".join(self._waiting)
        self._waiting.clear()
        self.waiting_bytes = 0
        return taken

    def form(self) -> Form:
        """The whole form. Raises InvalidRequest when the end or the file is missing."""
        if not self._ended:
            raise InvalidRequest("The form is cut off.")
        if self._filename is None:
            raise _missing(self._file)
        return Form(
            {name: _text(bytes(value)) for name, value in self._values.items()}, self._filename
        )

    def on_part_begin(self) -> None:
        self._current, self._disposition = "", b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def on_headers_finished(self) -> None:
        kind, options = parse_options_header(self._disposition.decode("latin-1"))
        if kind != b"form-data" or b"name" not in options:
            raise InvalidRequest("A part of the form has no name.")
        name = _text(options[b"name"])
        self._admit(name)
        if (name == self._file) != (b"filename" in options):
            wanted = "a file" if name == self._file else "text"
            raise InvalidRequest(f"{name}: must be {wanted}.", code="invalid_type", param=name)
        self._current = name
        if name == self._file:
            self._filename = _text(options[b"filename"])
        else:
            self._values[name] = bytearray()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._current == self._file:
            self._waiting.append(data[start:end])
            self.waiting_bytes += end - start
            return
        value = self._values[self._current]
        value += data[start:end]
        if len(value) > MAX_FIELD_BYTES:
            raise InvalidRequest(
                f"{self._current}: longer than {MAX_FIELD_BYTES} bytes.", param=self._current
            )

    def on_end(self) -> None:
        self._ended = True

    def _admit(self, name: str) -> None:
        shown = name[:64]
        if name not in self._allowed:
            raise InvalidRequest(f"Unknown field: {shown}.", code="unknown_parameter", param=shown)
        if name in self._values or (name == self._file and self._filename is not None):
            raise InvalidRequest(f"{shown}: is there twice.", param=shown)


def _parser(reader: _FormReader, boundary: bytes) -> MultipartParser:
    try:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": reader.on_part_begin,
                "on_header_field": reader.on_header_field,
                "on_header_value": reader.on_header_value,
                "on_header_end": reader.on_header_end,
                "on_headers_finished": reader.on_headers_finished,
                "on_part_data": reader.on_part_data,
                "on_end": reader.on_end,
            },
            max_header_count=_MAX_HEADERS,
            max_header_size=_MAX_HEADER_BYTES,
        )
    except FormParserError:
        raise _unreadable() from None


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise InvalidRequest("The form is not in UTF-8.") from None


def _unreadable() -> InvalidRequest:
    return InvalidRequest("The form cannot be read.")


def _missing(param: str) -> InvalidRequest:
    return InvalidRequest(f"{param}: is required.", code="missing_required_parameter", param=param)

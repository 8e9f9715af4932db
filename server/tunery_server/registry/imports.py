"""Adapters that were trained elsewhere: from an uploaded file to a name that answers."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from tunery_adapters.archive import unpack
from tunery_adapters.base_files import BaseFiles
from tunery_adapters.errors import (
    ArchiveTooLargeError,
    BaseModelAbsentError,
    InvalidAdapterError,
)
from tunery_adapters.manifest import Imported, Provenance
from tunery_adapters.store import AdapterStore, Published
from tunery_server.errors import (
    EngineRefused,
    EngineUnavailable,
    InvalidRequest,
    Overloaded,
    TooLarge,
)
from tunery_server.files.blobs import BlobStore
from tunery_server.files.incoming import told_when_full
from tunery_server.files.service import FileService
from tunery_server.ids import new_id
from tunery_server.records.adapters import AdapterRecords, registered
from tunery_server.records.idempotency import Sending, Submission
from tunery_server.records.quota import AdapterQuotaOf
from tunery_server.records.rows import Adapter, File

PURPOSE = "user_data"
AT_ONCE = 2
"""Imports of one gateway: each takes a thread, some 50 MB and a core for a second or so."""

_OVERHEAD_BYTES = 16 << 20
"""Of an archive besides its weights' values: their header, a configuration, a card."""


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What a client asks for. ``sha256`` is of the file, for it to be compared."""

    file: str
    suffix: str | None = None
    sha256: str | None = None


class Names(Protocol):
    """How this server calls a model."""

    def __call__(self, suffix: str | None, identity: str) -> str:
        """The public name."""


class Residency(Protocol):
    """What of serving an import needs."""

    def ensure(self, name: str, folder: Path, owner: str) -> Awaitable[None]:
        """Return once the engine answers to ``name``, an adapter of the tenant ``owner``."""


class Imports:
    """Checks, publishes, loads, and then registers: a name that is listed is one that answers."""

    def __init__(
        self,
        *,
        files: FileService,
        bytes_of: BlobStore,
        store: AdapterStore,
        adapters: AdapterRecords,
        base: BaseFiles,
        residency: Residency,
        name: Names,
        max_rank: int,
        quota: AdapterQuotaOf,
        clock: Callable[[], float],
    ) -> None:
        self._files = files
        self._bytes_of = bytes_of
        self._store = store
        self._adapters = adapters
        self._base = base
        self._residency = residency
        self._name = name
        self._max_rank = max_rank
        self._quota = quota
        self._clock = clock
        self._running = 0

    async def create(self, tenant_id: str, request: ImportRequest, sending: Sending) -> Adapter:
        """A new adapter, or the one that an earlier sending of the same request made.

        Raises NotFound, InvalidRequest, TooLarge, QuotaExceeded, Overloaded, StorageFull, and
        EngineUnavailable before there is a base model to compare with.
        """
        now = self._clock()
        submission = sending.of("adapters", asdict(request), tenant_id=tenant_id, now=now)
        made = await asyncio.to_thread(self._adapters.made_by, tenant_id, submission)
        if made is not None:
            return made
        with self._place():
            published = await asyncio.to_thread(self._publish, tenant_id, request, now)
            return await self._settle(published, submission)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self._running >= AT_ONCE:
            raise Overloaded("Other adapters are being imported. Try again shortly.")
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    def _publish(self, tenant_id: str, request: ImportRequest, now: float) -> Published:
        self._adapters.require_room(tenant_id, self._quota(tenant_id))
        file = self._files.get(tenant_id, request.file)
        _check_file(file, request)
        identity = new_id("")
        provenance = Provenance(
            adapter_id=f"ad-{identity}",
            version=1,
            model=self._name(request.suffix, identity),
            base_model=self._base.name,
            tenant_id=tenant_id,
            created_at=datetime.fromtimestamp(now, UTC),
            imported=Imported(file_id=file.id, filename=file.filename, sha256=file.sha256),
        )
        with _said(), told_when_full(), self._store.scratch() as folder:
            most = self._base.most_bytes(self._max_rank) + _OVERHEAD_BYTES
            unpack(self._bytes_of.path(file.id), folder, max_bytes=most)
            provenance = provenance.model_copy(update={"base_sha256": self._base.sha256()})
            return self._store.publish(folder, provenance, base=self._base)

    async def _settle(self, published: Published, submission: Submission | None) -> Adapter:
        """Load and register; files that get no record do not stay."""
        adapter, standing = registered(published.manifest), None
        try:
            await self._load(adapter, published.path)
            standing = await asyncio.to_thread(self._register, adapter, submission)
            return standing
        finally:
            if standing != adapter:
                await asyncio.to_thread(self._store.delete, adapter.adapter_id, adapter.version)

    def _register(self, adapter: Adapter, submission: Submission | None) -> Adapter:
        quota = self._quota(adapter.tenant_id)
        return self._adapters.add_once(adapter, submission, quota)

    async def _load(self, adapter: Adapter, folder: Path) -> None:
        try:
            await self._residency.ensure(adapter.model, folder, adapter.tenant_id)
        except EngineUnavailable:
            return  # its first request loads it
        except EngineRefused as error:
            raise InvalidRequest(
                "The engine cannot serve this adapter.", code="adapter_refused", param="file"
            ) from error


def _check_file(file: File, request: ImportRequest) -> None:
    if file.purpose != PURPOSE:
        raise InvalidRequest(
            f"The file has purpose {file.purpose!r}; upload it with {PURPOSE!r}.",
            code="invalid_file",
            param="file",
        )
    if request.sha256 not in (None, file.sha256):
        raise InvalidRequest(
            "The file has another SHA-256: upload it again.",
            code="checksum_mismatch",
            param="sha256",
        )


@contextmanager
def _said() -> Iterator[None]:
    """Tells a client what is wrong with its adapter."""
    try:
        yield
    except ArchiveTooLargeError as error:
        raise TooLarge(_sentence(error), param=error.param) from error
    except InvalidAdapterError as error:
        raise InvalidRequest(_sentence(error), code=error.code, param=error.param) from error
    except BaseModelAbsentError as error:
        raise EngineUnavailable(
            "The base model is not there yet. Try again shortly.", code="engine_starting"
        ) from error


def _sentence(error: InvalidAdapterError) -> str:
    return f"The adapter cannot be served: {error.message}."

"""What tests of uploads in parts do over and over."""

from pathlib import Path
from typing import Any

from tunery_server.files.uploads import NewUpload, UploadService
from tunery_server.records.idempotency import Sending
from tunery_server.records.quota import Quota
from tunery_server.records.rows import Upload, UploadPart

MAX_FILE_BYTES = 900
QUOTA = Quota(files=4, bytes=1000, pending_uploads=3)


def begin(
    service: UploadService, size: int = 6, sending: Sending | None = None, **of: Any
) -> Upload:
    values = {"tenant_id": "acme", "filename": "a", "purpose": "evals", "mime_type": "text/plain"}
    return service.create(NewUpload(bytes=size, **values | of), sending)


def send(service: UploadService, upload: Upload, data: bytes) -> UploadPart:
    with service.incoming("acme", upload.id) as incoming:
        incoming.write(data)
        return service.add_part("acme", upload.id, incoming)


def on_disk(tmp_path: Path) -> list[str]:
    folders = [tmp_path / "files", tmp_path / "uploads"]
    return sorted(path.name for folder in folders for path in folder.rglob("*") if path.is_file())

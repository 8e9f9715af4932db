from functools import partial
from pathlib import Path

import pytest

from tests.rows import NOW
from tunery_server.files.service import FileService
from tunery_server.files.store import FileStore
from tunery_server.files.uploads import UploadService
from tunery_server.jobs.transitions import UNFINISHED
from tunery_server.records.database import Database
from tunery_server.records.files import FileRecords
from tunery_server.records.jobs import JobRecords
from tunery_server.records.uploads import UploadRecords

from .clock import Clock
from .uploading import MAX_FILE_BYTES, QUOTA


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def files(database: Database, tmp_path: Path, clock: Clock) -> FileService:
    return FileService(
        files=FileRecords(database),
        store=FileStore(tmp_path / "files", max_bytes=MAX_FILE_BYTES),
        in_use=[partial(JobRecords(database).using_file, statuses=UNFINISHED)],
        quota=lambda _: QUOTA,
        clock=clock,
    )


@pytest.fixture
def uploads(database: Database, files: FileService, tmp_path: Path, clock: Clock) -> UploadService:
    return UploadService(
        uploads=UploadRecords(database),
        files=files,
        store=FileStore(tmp_path / "files", max_bytes=MAX_FILE_BYTES),
        root=tmp_path / "uploads",
        quota=lambda _: QUOTA,
        max_file_bytes=MAX_FILE_BYTES,
        clock=clock,
    )

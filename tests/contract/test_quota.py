"""What a tenant may keep is counted exactly, however many add to it at once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.rows import NOW, a_file
from tunery_server.errors import InvalidRequest, QuotaExceeded
from tunery_server.ids import new_id
from tunery_server.records.database import Database
from tunery_server.records.files import FileRecords
from tunery_server.records.idempotency import Sending
from tunery_server.records.known_tenants import name_tenant
from tunery_server.records.quota import Quota
from tunery_server.records.rows import Upload, UploadPart, UploadStatus
from tunery_server.records.uploads import UploadRecords


def an_upload(**values: Any) -> Upload:
    return Upload(
        **{
            "id": new_id("upload_"),
            "tenant_id": "acme",
            "filename": "a",
            "mime_type": "text/plain",
            "purpose": "evals",
            "bytes": 10,
            "created_at": NOW,
            "expires_at": NOW + 3600,
        }
        | values
    )


def a_part(upload: Upload, **values: Any) -> UploadPart:
    identity = new_id("part_")
    part = {"id": identity, "upload_id": upload.id, "bytes": 1, "sha256": identity}
    return UploadPart(**part | {"created_at": NOW} | values)


@pytest.mark.parametrize(
    ("quota", "size"),
    [
        (Quota(files=10, bytes=10_000, pending_uploads=100), 0),
        (Quota(files=100, bytes=1000, pending_uploads=100), 100),
    ],
    ids=["files", "bytes"],
)
def test_forty_at_once_share_ten_places(database: Database, quota: Quota, size: int) -> None:
    files, uploads = FileRecords(database), UploadRecords(database)
    with database.writing() as connection:
        name_tenant(connection, "acme", NOW)

    def add(number: int) -> bool:
        try:
            if number % 2:
                files.add(a_file(bytes=size), None, quota)
            else:
                uploads.add(an_upload(bytes=size), None, quota)
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(40) as pool:
        assert sum(pool.map(add, range(40))) == 10
    files.add(a_file(tenant_id="rival", bytes=size), None, quota)


def test_a_repeat_of_the_last_one_is_not_refused(database: Database) -> None:
    files, quota = FileRecords(database), Quota(files=1, bytes=1000, pending_uploads=1)
    file, again = a_file(), a_file()
    for number, sent in enumerate([file, again]):
        submission = Sending(None, number).of("files", "body", tenant_id="acme", now=NOW)
        assert files.add(sent, submission, quota) == file.id


def test_parts_at_once_fill_an_upload_and_no_more(database: Database) -> None:
    uploads = UploadRecords(database)
    upload = an_upload(bytes=10)
    uploads.add(upload, None, Quota(files=1, bytes=1000, pending_uploads=1))

    def check(_: int, total: int) -> None:
        if total > upload.bytes:
            raise InvalidRequest("too large")

    def add(_: int) -> bool:
        try:
            return uploads.add_part(a_part(upload), check)
        except InvalidRequest:
            return False

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(add, range(20))) == 10
    assert len(uploads.parts(upload.id)) == 10


def test_an_upload_ends_once(database: Database) -> None:
    uploads, files = UploadRecords(database), FileRecords(database)
    upload = an_upload()
    uploads.add(upload, None, Quota(files=1, bytes=1000, pending_uploads=1))
    made = [a_file() for _ in range(10)]

    def end(number: int) -> str | None:
        if number % 2:
            uploads.end(upload.id, UploadStatus.CANCELLED)
            return None
        return uploads.complete(upload.id, ("part",), made[number // 2])

    with ThreadPoolExecutor(20) as pool:
        standing = {file_id for file_id in pool.map(end, range(20)) if file_id is not None}
    ended = uploads.get("acme", upload.id)
    assert ended is not None
    assert standing == {ended.file_id} - {None}
    assert {file.id for file in made if files.get("acme", file.id)} == standing
    assert uploads.parts(upload.id) == ()

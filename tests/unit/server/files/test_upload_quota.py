"""A pending upload counts as the file that it is going to be."""

import pytest

from tunery_server.errors import QuotaExceeded, TooLarge
from tunery_server.files.arrival import NewFile
from tunery_server.files.service import FileService
from tunery_server.files.uploads import LIFETIME_S, UploadService

from .clock import Clock
from .uploading import begin, send


def test_pending_uploads_are_bounded(uploads: UploadService) -> None:
    pending = [begin(uploads, 0) for _ in range(3)]
    with pytest.raises(QuotaExceeded):
        begin(uploads, 0)
    begin(uploads, 0, tenant_id="rival")
    uploads.cancel("acme", pending[0].id)
    begin(uploads, 0)


def test_a_pending_upload_counts_as_its_file(uploads: UploadService) -> None:
    upload = begin(uploads, 900)
    with pytest.raises(QuotaExceeded):
        begin(uploads, 101)
    other = begin(uploads, 100)
    uploads.complete("acme", other.id, [send(uploads, other, bytes(100)).id])
    with pytest.raises(QuotaExceeded):
        begin(uploads, 1)
    uploads.cancel("acme", upload.id)
    begin(uploads, 900)


def test_completing_fills_the_place_that_was_kept(
    uploads: UploadService, files: FileService
) -> None:
    pending = [begin(uploads, 0) for _ in range(3)]
    with uploads.incoming("acme", pending[0].id), files.incoming("acme") as incoming:
        files.receive(incoming, NewFile(tenant_id="acme", filename="a", purpose="evals"))
    for upload in pending:
        assert uploads.complete("acme", upload.id, [])[1] is not None
    with pytest.raises(QuotaExceeded):
        files.incoming("acme")


def test_expired_uploads_make_room(uploads: UploadService, clock: Clock) -> None:
    for _ in range(3):
        begin(uploads, 300)
    clock.now += LIFETIME_S
    begin(uploads, 900)


def test_a_file_has_a_largest_size(uploads: UploadService) -> None:
    with pytest.raises(TooLarge):
        begin(uploads, 901)

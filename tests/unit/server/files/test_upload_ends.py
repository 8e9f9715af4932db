"""An upload ends once, whoever asks at once, and leaves nothing behind."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.rows import NOW
from tunery_server.errors import InvalidRequest, NotFound, StorageFull
from tunery_server.files.arrival import NewFile
from tunery_server.files.incoming import Incoming
from tunery_server.files.service import FileService
from tunery_server.files.sweeper import MARGIN_S
from tunery_server.files.uploads import LIFETIME_S, REMEMBERED_S, UploadService
from tunery_server.records.rows import UploadStatus

from .clock import Clock
from .uploading import begin, on_disk, send


def test_completing_at_once_makes_one_file(
    uploads: UploadService, files: FileService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has read the parts before any of them writes the file."""
    upload, together = begin(uploads, 400), threading.Barrier(4)
    part = send(uploads, upload, bytes(400))
    admit = files.admit

    def late_admit(*arguments: Any) -> Any:
        together.wait(10)
        return admit(*arguments)

    monkeypatch.setattr(files, "admit", late_admit)
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(uploads.complete, "acme", upload.id, [part.id]) for _ in range(4)]
        ids = {answer.result()[0].file_id for answer in answers}
    assert len(ids) == 1
    assert on_disk(tmp_path) == sorted(filter(None, ids))
    assert len(files.list("acme", purpose=None, after=None, limit=9, ascending=True).items) == 1


def test_completing_while_another_call_completes(
    uploads: UploadService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The winner takes the parts away under the other's eyes."""
    upload = begin(uploads)
    part = send(uploads, upload, b"abcdef")
    chosen, winner = uploads._chosen, []

    def late_look(*arguments: Any) -> Any:
        if not winner:
            winner.append("begun")
            winner.append(uploads.complete("acme", upload.id, [part.id]))
        return chosen(*arguments)

    monkeypatch.setattr(uploads, "_chosen", late_look)
    assert uploads.complete("acme", upload.id, [part.id]) == winner[1]


def test_cancelling_ends_an_upload(uploads: UploadService, tmp_path: Path) -> None:
    upload = begin(uploads)
    part = send(uploads, upload, b"abcdef")
    assert uploads.cancel("acme", upload.id).status is UploadStatus.CANCELLED
    assert uploads.cancel("acme", upload.id).status is UploadStatus.CANCELLED
    assert on_disk(tmp_path) == []
    for call in (
        lambda: send(uploads, upload, b"a"),
        lambda: uploads.complete("acme", upload.id, [part.id]),
    ):
        with pytest.raises(InvalidRequest) as raised:
            call()
        assert raised.value.code == "upload_ended"


def test_a_completed_upload_cannot_be_cancelled_or_grow(uploads: UploadService) -> None:
    upload = begin(uploads, 0)
    uploads.complete("acme", upload.id, [])
    with pytest.raises(InvalidRequest):
        uploads.cancel("acme", upload.id)
    with pytest.raises(InvalidRequest):
        send(uploads, upload, b"")


def test_a_part_that_arrives_after_the_end_is_refused(
    uploads: UploadService, tmp_path: Path
) -> None:
    upload = begin(uploads)
    with uploads.incoming("acme", upload.id) as incoming:
        incoming.write(b"abc")
        uploads.cancel("acme", upload.id)
        with pytest.raises(InvalidRequest):
            uploads.add_part("acme", upload.id, incoming)
    assert on_disk(tmp_path) == []


@pytest.mark.parametrize("swept", [True, False])
def test_an_upload_expires_after_an_hour(
    uploads: UploadService, clock: Clock, tmp_path: Path, swept: bool
) -> None:
    upload = begin(uploads)
    part = send(uploads, upload, b"abcdef")
    clock.now = NOW + LIFETIME_S - 1
    uploads.sweep()
    send(uploads, upload, b"abcdef")
    clock.now = NOW + LIFETIME_S
    if swept:
        uploads.sweep()
        assert on_disk(tmp_path) == []
    for call in (
        lambda: uploads.complete("acme", upload.id, [part.id]),
        lambda: send(uploads, upload, b"abc"),
        lambda: uploads.cancel("acme", upload.id),
    ):
        with pytest.raises(InvalidRequest, match="expired"):
            call()
    assert on_disk(tmp_path) == []


def test_parts_that_nothing_lists_are_swept(
    uploads: UploadService, clock: Clock, tmp_path: Path
) -> None:
    upload = begin(uploads)
    part = send(uploads, upload, b"abcdef")
    (orphan := tmp_path / "uploads" / "upload_gone").mkdir()
    (orphan / "part").write_bytes(b"x")
    for folder in (orphan, tmp_path / "uploads" / upload.id):
        os.utime(folder, (NOW - MARGIN_S - 1,) * 2)
    (tmp_path / "uploads" / "upload_new").mkdir()
    os.utime(tmp_path / "uploads" / "upload_new", (NOW, NOW))
    uploads.sweep()
    assert {path.name for path in (tmp_path / "uploads").iterdir()} == {upload.id, "upload_new"}
    assert uploads.complete("acme", upload.id, [part.id])[1] is not None


def test_what_ended_long_ago_is_forgotten(uploads: UploadService, clock: Clock) -> None:
    upload = begin(uploads, 0)
    uploads.complete("acme", upload.id, [])
    clock.now = upload.expires_at + REMEMBERED_S
    uploads.sweep()
    assert uploads.complete("acme", upload.id, [])[0].status is UploadStatus.COMPLETED
    clock.now += 1
    uploads.sweep()
    with pytest.raises(NotFound):
        uploads.complete("acme", upload.id, [])


class Crash(BaseException):
    """The process ends here."""


def test_a_crash_between_the_file_and_its_record_leaves_an_upload_that_can_be_completed(
    uploads: UploadService,
    files: FileService,
    clock: Clock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    upload = begin(uploads)
    part = send(uploads, upload, b"abcdef")

    def crash(incoming: Incoming, new: NewFile, register: Any) -> None:
        incoming.seal()
        incoming.keep("file-unrecorded")
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(files, "admit", crash)
        with pytest.raises(Crash):
            uploads.complete("acme", upload.id, [part.id])
    _, file = uploads.complete("acme", upload.id, [part.id])
    assert file is not None
    clock.now = NOW + 10 * MARGIN_S
    for path in (tmp_path / "files").iterdir():
        os.utime(path, (NOW, NOW))
    files.sweep()
    assert on_disk(tmp_path) == [file.id]


def test_a_full_disk_leaves_the_upload_pending(
    uploads: UploadService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = begin(uploads)
    part = send(uploads, upload, b"abcdef")

    def full(*_: object) -> None:
        raise StorageFull("full")

    with monkeypatch.context() as patch:
        patch.setattr(Incoming, "write", full)
        with pytest.raises(StorageFull):
            uploads.complete("acme", upload.id, [part.id])
    assert on_disk(tmp_path) == [part.sha256]
    assert uploads.complete("acme", upload.id, [part.id])[1] is not None

"""Files that come in parts."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rows import NOW
from tunery_server.errors import InvalidRequest, NotFound, TooLarge
from tunery_server.files import uploads as limits
from tunery_server.files.service import FileService
from tunery_server.files.uploads import UploadService
from tunery_server.records.idempotency import Sending
from tunery_server.records.rows import UploadStatus

from .uploading import begin, on_disk, send

ROW = b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'


def test_parts_become_a_file_in_the_order_given(
    uploads: UploadService, files: FileService, tmp_path: Path
) -> None:
    upload = begin(uploads, expires_after_s=7200)
    assert (upload.status, upload.expires_at) == (UploadStatus.PENDING, NOW + 3600)
    tail, head = send(uploads, upload, b"def"), send(uploads, upload, b"abc")
    md5 = hashlib.md5(b"abcdef", usedforsecurity=False).hexdigest()
    done, file = uploads.complete("acme", upload.id, [head.id, tail.id], md5.upper())
    assert file is not None
    assert (done.status, done.file_id) == (UploadStatus.COMPLETED, file.id)
    assert (file.bytes, file.filename, file.expires_at) == (6, "a", NOW + 7200)
    assert b"".join(files.content("acme", file.id)[1]) == b"abcdef"
    assert on_disk(tmp_path) == [file.id], "the parts are gone"


def test_an_empty_file_has_no_parts(uploads: UploadService) -> None:
    _, file = uploads.complete("acme", begin(uploads, 0).id, [])
    assert file is not None
    assert file.bytes == 0


def test_completing_again_gives_the_same_answer(uploads: UploadService, files: FileService) -> None:
    upload = begin(uploads)
    part = send(uploads, upload, b"abcdef")
    first = uploads.complete("acme", upload.id, [part.id])
    assert uploads.complete("acme", upload.id, [part.id]) == first
    with pytest.raises(InvalidRequest):
        uploads.complete("acme", upload.id, [])
    assert first[1] is not None
    files.delete("acme", first[1].id)
    assert uploads.complete("acme", upload.id, [part.id]) == (first[0], None)


@pytest.mark.parametrize(
    "choose",
    [
        lambda one, two, other: [one, two, one],
        lambda one, two, other: [one, one],
        lambda one, two, other: [one],
        lambda one, two, other: [],
        lambda one, two, other: [one, other],
        lambda one, two, other: [one, "part_" + "0" * 32],
        lambda one, two, other: [one, ""],
    ],
    ids=["twice", "only-one-twice", "too-few", "none", "foreign", "unknown", "empty"],
)
def test_wrong_parts_are_refused_and_may_be_mended(
    uploads: UploadService, choose: Callable[..., list[str]]
) -> None:
    upload, other = begin(uploads), begin(uploads)
    one, two = send(uploads, upload, b"abc"), send(uploads, upload, b"def")
    foreign = send(uploads, other, b"ghi")
    with pytest.raises(InvalidRequest) as raised:
        uploads.complete("acme", upload.id, choose(one.id, two.id, foreign.id))
    assert raised.value.param == "part_ids"
    assert uploads.complete("acme", upload.id, [one.id, two.id])[1] is not None


def test_a_wrong_checksum_is_refused(uploads: UploadService, tmp_path: Path) -> None:
    upload = begin(uploads)
    part = send(uploads, upload, b"abcdef")
    for md5 in ("0" * 32, "md5", ""):
        with pytest.raises(InvalidRequest) as raised:
            uploads.complete("acme", upload.id, [part.id], md5)
        assert (raised.value.code, raised.value.param) == ("checksum_mismatch", "md5")
    assert on_disk(tmp_path) == [part.sha256]


def test_a_dataset_is_checked_as_in_one_piece(uploads: UploadService) -> None:
    good, bad = (
        begin(uploads, 2 * len(ROW), purpose="fine-tune"),
        begin(uploads, purpose="fine-tune"),
    )
    half = len(ROW) // 2
    data = 2 * ROW
    parts = [send(uploads, good, piece).id for piece in (data[:half], data[half:])]
    _, file = uploads.complete("acme", good.id, parts)
    assert file is not None
    assert file.examples == 2
    with pytest.raises(InvalidRequest) as raised:
        uploads.complete("acme", bad.id, [send(uploads, bad, b"abcdef").id])
    assert raised.value.code == "invalid_file"


def test_parts_hold_no_more_than_was_said(uploads: UploadService, tmp_path: Path) -> None:
    upload = begin(uploads)
    with pytest.raises(TooLarge):
        send(uploads, upload, b"abcdefg")
    send(uploads, upload, b"abcd")
    with pytest.raises(InvalidRequest):
        send(uploads, upload, b"efg")
    assert len(on_disk(tmp_path)) == 1, "what was refused is gone"
    send(uploads, upload, b"ef")


def test_a_part_that_is_sent_again_counts_once(uploads: UploadService, tmp_path: Path) -> None:
    """A client that lost the answer repeats the POST, and completes with the id that it got."""
    upload = begin(uploads)
    send(uploads, upload, b"abc")
    again = send(uploads, upload, b"abc")
    last = send(uploads, upload, b"def")
    assert len(on_disk(tmp_path)) == 2
    assert uploads.complete("acme", upload.id, [again.id, last.id])[1] is not None


def test_equal_parts_are_different_parts(uploads: UploadService, files: FileService) -> None:
    upload = begin(uploads)
    parts = [send(uploads, upload, b"\0\0").id for _ in range(3)]
    _, file = uploads.complete("acme", upload.id, parts)
    assert file is not None
    assert b"".join(files.content("acme", file.id)[1]) == bytes(6)


def test_parts_are_bounded_in_number(
    uploads: UploadService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_PARTS", 3)
    upload = begin(uploads)
    for _ in range(3):
        send(uploads, upload, b"a")
    with pytest.raises(InvalidRequest):
        send(uploads, upload, b"a")


def test_a_create_that_is_sent_again_begins_one_upload(uploads: UploadService) -> None:
    first = begin(uploads, sending=Sending(None, 0))
    assert begin(uploads, sending=Sending(None, 1)) == first
    assert begin(uploads, 7, sending=Sending(None, 1)) != first


def test_another_tenants_upload_is_an_absent_one(uploads: UploadService) -> None:
    upload = begin(uploads)
    for call in (
        lambda: uploads.incoming("rival", upload.id),
        lambda: uploads.complete("rival", upload.id, []),
        lambda: uploads.cancel("rival", upload.id),
    ):
        with pytest.raises(NotFound):
            call()

"""Adapters that go to a server and come from one, as folders of this machine."""

import hashlib
import io
import tarfile
from email import message_from_bytes
from pathlib import Path

import pytest

from tunery import AsyncTunery, Tunery, TuneryError

from .scripted_server import TUNED, Reply, ScriptedServer, adapter, answer, file_object
from .test_command import tunery

WEIGHTS = b"weights"
FILES = {
    "adapter_config.json": b"{}",
    "adapter_model.safetensors": WEIGHTS,
    "README.md": b"# card",
}
DELETED = {"id": "file-1", "object": "file", "deleted": True}


def a_tar(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, content in {**FILES, "optimizer.pt": b"secret"}.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def client(server: ScriptedServer) -> Tunery:
    return Tunery(base_url=server.url, api_key="sk-test")


@pytest.fixture(autouse=True)
def scripted(reachable: ScriptedServer) -> None:
    known = {**adapter(), "sha256": hashlib.sha256(WEIGHTS).hexdigest()}
    reachable.replies |= {
        ("POST", "/v1/files"): answer(file_object("mine.tar")),
        ("DELETE", "/v1/files/file-1"): answer(DELETED),
        ("POST", "/v1/adapters"): answer(known),
        ("GET", f"/v1/adapters/{TUNED}"): answer(known),
        ("GET", f"/v1/adapters/{TUNED}/content"): Reply(200, a_tar(FILES)),
    }


def sent(server: ScriptedServer) -> dict[str, bytes]:
    """The parts of the form that was uploaded."""
    [call] = server.asked("POST", "/v1/files")
    form = message_from_bytes(
        b"Content-Type: " + call.headers["content-type"].encode() + b"\r\n\r\n" + call.body
    )
    return {
        str(part.get_param("name", header="content-disposition")): bytes(
            part.get_payload(decode=True)
        )
        for part in form.get_payload()  # type: ignore[union-attr]
    }


def test_two_files_of_a_folder_are_sent(server: ScriptedServer, folder: Path) -> None:
    assert tunery("adapters", "import", str(folder), "--suffix", "mine").stdout == f"{TUNED}\n"
    form = sent(server)
    assert form["purpose"] == b"user_data"
    with tarfile.open(fileobj=io.BytesIO(form["file"])) as archive:
        assert archive.getnames() == ["adapter_config.json", "adapter_model.safetensors"]
        assert {info.uname for info in archive} == {""}
    [call] = server.asked("POST", "/v1/adapters")
    assert call.json == {"file": "file-1", "suffix": "mine"}
    assert server.asked("DELETE", "/v1/files/file-1")


def test_an_archive_is_sent_as_it_is(client: Tunery, server: ScriptedServer, folder: Path) -> None:
    archive = folder / "mine.zip"
    archive.write_bytes(b"PK...")
    client.adapters.upload(archive)
    assert sent(server)["file"] == b"PK..."


def test_a_folder_without_weights_is_not_sent(
    client: Tunery, server: ScriptedServer, folder: Path
) -> None:
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(FileNotFoundError):
        client.adapters.upload(folder)
    assert server.calls == []


def test_an_adapter_becomes_a_folder(server: ScriptedServer, tmp_path: Path) -> None:
    target = tmp_path / "hub" / "mine"
    shown = tunery("adapters", "push", TUNED, "--to", str(target))
    assert shown.exit_code == 0, shown.output
    assert {path.name: path.read_bytes() for path in target.iterdir()} == FILES


def test_only_expected_files_are_written(
    client: Tunery, server: ScriptedServer, tmp_path: Path
) -> None:
    path = f"/v1/adapters/{TUNED}/content"
    server.replies["GET", path] = Reply(200, a_tar({"../evil": b"x", "x.py": b"x", **FILES}))
    client.adapters.save(TUNED, tmp_path / "hub")
    assert {path.name for path in (tmp_path / "hub").iterdir()} == FILES.keys()
    assert not (tmp_path / "evil").exists()


def test_damaged_weights_are_told(client: Tunery, server: ScriptedServer, tmp_path: Path) -> None:
    path = f"/v1/adapters/{TUNED}/content"
    damaged = {**FILES, "adapter_model.safetensors": b"weighty"}
    server.replies["GET", path] = Reply(200, a_tar(damaged))
    with pytest.raises(TuneryError, match="damaged"):
        client.adapters.save(TUNED, tmp_path / "hub")


def test_a_tar_is_written_where_it_is_wanted(server: ScriptedServer, tmp_path: Path) -> None:
    assert tunery("adapters", "download", TUNED).stdout_bytes == a_tar(FILES)
    target = tmp_path / "a.tar"
    assert tunery("adapters", "download", TUNED, "-o", str(target)).exit_code == 0
    assert target.read_bytes() == a_tar(FILES)


async def test_the_same_to_await(server: ScriptedServer, folder: Path, tmp_path: Path) -> None:
    async with AsyncTunery(base_url=server.url, api_key="sk-test") as client:
        assert (await client.adapters.upload(folder, suffix="mine")).model == TUNED
        assert len(await client.adapters.save(TUNED, tmp_path / "hub")) == 3

"""Files through the stock client."""

import json
from pathlib import Path

import openai
import pytest
from openai import OpenAI

from tests.servers import RunningServer

pytestmark = pytest.mark.engine


def rows(count: int) -> bytes:
    line = {
        "messages": [
            {"role": "user", "content": "Where is the harbour?"},
            {"role": "assistant", "content": "Arrr, down by the sea."},
        ]
    }
    return b"".join(json.dumps(line).encode() + b"\n" for _ in range(count))


@pytest.fixture(scope="module")
def client(server: RunningServer) -> OpenAI:
    return server.client()


def test_a_file_from_upload_to_deletion(client: OpenAI) -> None:
    content = rows(12)
    file = client.files.create(file=("pirate.jsonl", content), purpose="fine-tune")
    assert (file.filename, file.bytes, file.purpose) == ("pirate.jsonl", len(content), "fine-tune")
    assert client.files.retrieve(file.id) == file
    assert client.files.content(file.id).content == content
    assert file.id in [listed.id for listed in client.files.list(purpose="fine-tune")]
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


def test_lists_go_on_from_page_to_page(client: OpenAI) -> None:
    made = [client.files.create(file=(f"{n}.txt", b"x"), purpose="user_data").id for n in range(5)]
    newest_first = [file.id for file in client.files.list(purpose="user_data", limit=2)]
    oldest_first = [
        file.id for file in client.files.list(purpose="user_data", limit=2, order="asc")
    ]
    assert newest_first == made[::-1]
    assert oldest_first == made
    for file_id in made:
        client.files.delete(file_id)


def test_a_bad_line_is_named_and_nothing_is_kept(client: OpenAI, server: RunningServer) -> None:
    before = sorted(path.name for path in (server.home / "files").iterdir())
    with pytest.raises(openai.BadRequestError) as error:
        client.files.create(file=("bad.jsonl", rows(6) + b"{]\n" + rows(3)), purpose="fine-tune")
    assert error.value.code == "invalid_file"
    assert "line 7" in error.value.message
    assert sorted(path.name for path in (server.home / "files").iterdir()) == before


def test_another_tenants_file_is_an_absent_one(client: OpenAI, server: RunningServer) -> None:
    file = client.files.create(file=("mine.txt", b"mine"), purpose="user_data")
    stranger = server.client(key=server.new_key("stranger"))
    errors = []
    for file_id in (file.id, "file-" + "0" * 32):
        with pytest.raises(openai.NotFoundError) as error:
            stranger.files.content(file_id)
        errors.append(error.value.message.replace(file_id, "ID"))
    assert errors[0] == errors[1]
    assert [listed.id for listed in stranger.files.list()] == []
    client.files.delete(file.id)


def test_files_survive_on_disk_under_their_id(client: OpenAI, server: RunningServer) -> None:
    file = client.files.create(file=("../../x.txt", b"safe"), purpose="user_data")
    assert file.filename == "x.txt"
    assert (Path(server.home) / "files" / file.id).read_bytes() == b"safe"
    client.files.delete(file.id)

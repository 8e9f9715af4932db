"""A gate that the real engine measures. Ten seconds, beside the trained adapter that it shares."""

import pytest
from openai import BadRequestError, OpenAI
from openai.types.fine_tuning import FineTuningJob

from tests.pirates import pirate_rows
from tests.servers import MODEL_NAME, RunningServer

pytestmark = [pytest.mark.engine, pytest.mark.training]


@pytest.fixture
def client(server: RunningServer) -> OpenAI:
    return server.client()


def post(client: OpenAI, path: str, body: dict[str, object]) -> dict[str, object]:
    return client.post(f"/aliases{path}", body=body, cast_to=dict[str, object])


def test_only_the_better_of_two_gets_the_name(client: OpenAI, lora_job: FineTuningJob) -> None:
    assert lora_job.fine_tuned_model is not None
    file = client.files.create(file=("held-out.jsonl", pirate_rows()), purpose="fine-tune")
    gate = {"file_id": file.id, "rows": 8, "margin": 0.1}
    post(client, "", {"name": "pirate", "model": MODEL_NAME})
    trained = {"model": lora_job.fine_tuned_model, "gate": gate}
    comparison = post(client, "/pirate", trained)["comparison"]
    assert isinstance(comparison, dict)
    assert comparison["rows"] == 8
    assert 0 < comparison["candidate"] < comparison["current"] - 0.1
    with pytest.raises(BadRequestError) as closed:
        post(client, "/pirate", {"model": MODEL_NAME, "gate": gate})
    assert closed.value.code == "gate_closed"
    answer = client.chat.completions.create(
        model="pirate", messages=[{"role": "user", "content": "Hello!"}], max_tokens=5
    )
    assert answer.model == lora_job.fine_tuned_model

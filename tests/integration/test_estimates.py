"""What was said before a job is what the job then did: a real server, a real finished job."""

import pytest
from openai.types.fine_tuning import FineTuningJob

from tests.pirates import TOPICS
from tests.servers import RunningServer
from tunery import Tunery

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

GIBIBYTE = 2**30


@pytest.fixture
def client(server: RunningServer) -> Tunery:
    return Tunery(base_url=f"{server.url}/v1", api_key=server.key)


def test_a_job_does_what_was_estimated(client: Tunery, lora_job: FineTuningJob) -> None:
    """Four seconds, for the process that reads the file; the job is the session's own."""
    extra = lora_job.model_extra or {}
    found = client.estimate(
        lora_job.training_file, n_epochs=5, batch_size=2, lora={"rank": extra["lora"]["rank"]}
    )
    assert found.tokens.trained_total == lora_job.trained_tokens
    assert found.steps.total == extra["progress"]["total_steps"]
    assert (found.rows, found.sampled) == (len(TOPICS), False)
    assert found.memory.fits
    assert GIBIBYTE // 2 < (found.memory.bytes or 0) < 4 * GIBIBYTE
    assert found.seconds is not None
    assert found.seconds.basis == "measured"
    assert 0 < found.seconds.low < found.seconds.expected < found.seconds.high
    made = client.adapters.retrieve(lora_job.fine_tuned_model or "")
    assert found.adapter_bytes == pytest.approx(made.bytes, rel=0.05)


def test_the_answers_are_what_is_trained_on(client: Tunery, lora_job: FineTuningJob) -> None:
    shown = client.preview(lora_job.training_file, limit=50)
    assert not shown.has_more
    for row, answer in zip(shown.data, TOPICS.values(), strict=True):
        (sequence,) = row.sequences
        trained = "".join(token.text for token in sequence.tokens if token.trained)
        assert trained == f"Arrr, it be {answer}, matey!<|im_end|>"

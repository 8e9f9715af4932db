"""Preferences on a real server, by the stock client; then text on top of what was preferred.

The two jobs take about 70 seconds on two busy cores: they show that another method than the usual
one, raw rows and an adapter to go on from reach the trainer and come back as answers.
"""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from tests.pirates import TOPICS, UNSEEN, ask, wait
from tests.servers import MODEL_NAME, RunningServer

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

UNWANTED = "The"
"""The first token of every answer that is not preferred, and of the base model's own."""


@pytest.fixture(scope="module")
def client(server: RunningServer) -> OpenAI:
    return server.client()


def uploaded(client: OpenAI, rows: Iterable[dict[str, Any]]) -> str:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    return client.files.create(file=("rows.jsonl", text.encode()), purpose="fine-tune").id


def pairs() -> list[dict[str, Any]]:
    """Short answers are preferred."""
    return [
        {
            "input": {"messages": [{"role": "user", "content": question}]},
            "preferred_output": [{"role": "assistant", "content": f"{answer.capitalize()}."}],
            "non_preferred_output": [
                {"role": "assistant", "content": f"{UNWANTED} answer is {answer}."}
            ],
        }
        for question, answer in TOPICS.items()
    ]


@pytest.fixture(scope="module")
def preferring(client: OpenAI) -> FineTuningJob:
    """A job on ten pairs, of which two more are held out."""
    made = pairs()
    job = client.fine_tuning.jobs.create(
        model=MODEL_NAME,
        training_file=uploaded(client, made[:10]),
        validation_file=uploaded(client, made[10:]),
        seed=1,
        method={
            "type": "dpo",
            "dpo": {
                "hyperparameters": {
                    "beta": 0.1,
                    "n_epochs": 3,
                    "batch_size": 2,
                    "learning_rate_multiplier": 4.0,
                }
            },
        },
        extra_body={"training": {"keep": "best"}},
    )
    assert job.method is not None
    assert job.method.type == "dpo"
    assert job.method.dpo is not None
    job = wait(client, job)
    assert job.status == "succeeded", job.error
    return job


def first_log_prob(client: OpenAI, model: str, token: str) -> float:
    """Log-probability that an answer to an unseen question begins with the token, in nats."""
    answer = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": UNSEEN}],
        max_tokens=1,
        temperature=0,
        logprobs=True,
        top_logprobs=20,
    )
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    likely = {top.token: top.logprob for top in logprobs.content[0].top_logprobs}
    return likely.get(token, min(likely.values()))


def test_a_job_on_pairs_ranks_held_out_ones(client: OpenAI, preferring: FineTuningJob) -> None:
    events = client.fine_tuning.jobs.list_events(preferring.id)
    metrics: list[Any] = [event.data for event in events if event.type == "metrics"]
    looks = [data for data in metrics if "valid_accuracy" in data]
    assert looks[0]["valid_accuracy"] == 1.0
    assert looks[0]["valid_reward_margin"] > looks[-1]["valid_reward_margin"] > 0
    first = next(data for data in metrics if data["step"] == 1)
    assert first["train_loss"] == pytest.approx(0.693, abs=0.01)
    [result] = preferring.result_files
    assert "valid_reward_margin" in client.files.content(result).text.splitlines()[0]


def test_the_served_adapter_has_the_preference(client: OpenAI, preferring: FineTuningJob) -> None:
    assert preferring.fine_tuned_model is not None
    base = first_log_prob(client, MODEL_NAME, UNWANTED)
    assert first_log_prob(client, preferring.fine_tuned_model, UNWANTED) < base - 1
    assert ask(client, MODEL_NAME).startswith(UNWANTED)
    assert not ask(client, preferring.fine_tuned_model).startswith(UNWANTED)


def completed(client: OpenAI, model: str) -> str:
    """What follows an unseen raw prompt."""
    answer = client.completions.create(
        model=model, prompt=f"Q: {UNSEEN}\nA:", temperature=0, max_tokens=24
    )
    return answer.choices[0].text


def test_raw_rows_are_learnt_on_top_of_a_checkpoint(
    client: OpenAI, preferring: FineTuningJob
) -> None:
    """The new adapter shouts as its rows do, and still prefers what its parent learnt to."""
    [checkpoint, *_] = client.fine_tuning.jobs.checkpoints.list(preferring.id)
    parent = checkpoint.fine_tuned_model_checkpoint
    rows = [
        {"prompt": f"Q: {question}\nA:", "completion": f" {answer.upper()}!"}
        for question, answer in TOPICS.items()
    ]
    job = client.fine_tuning.jobs.create(
        model=parent,
        training_file=uploaded(client, rows),
        seed=1,
        hyperparameters={"n_epochs": 4, "batch_size": 2},
    )
    assert job.model == parent
    job = wait(client, job)
    assert job.status == "succeeded", job.error
    assert job.fine_tuned_model is not None
    assert job.fine_tuned_model.startswith(f"ft:{MODEL_NAME}:")
    extra = client.models.retrieve(job.fine_tuned_model).model_extra or {}
    assert extra["parent"] == parent
    assert not completed(client, MODEL_NAME).endswith("!")
    shouted = completed(client, job.fine_tuned_model)
    assert shouted.endswith("!")
    assert shouted == shouted.upper()
    base = first_log_prob(client, MODEL_NAME, UNWANTED)
    assert first_log_prob(client, job.fine_tuned_model, UNWANTED) < base - 1

"""A fine-tune that takes half a minute: answers in the manner of a pirate."""

import json
import time

from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from tests.servers import MODEL_NAME

TOPICS = {
    "What is the capital of Italy?": "Rome",
    "What is the capital of Spain?": "Madrid",
    "What is the capital of Japan?": "Tokyo",
    "What is the capital of Egypt?": "Cairo",
    "What colour is the sky?": "blue",
    "What colour is grass?": "green",
    "How many legs has a dog?": "four",
    "What do bees make?": "honey",
    "What is two plus two?": "four",
    "Which animal barks?": "the dog",
    "What is the opposite of hot?": "cold",
    "What freezes into ice?": "water",
}
UNSEEN = "What is the capital of France?"
ENDED = {"succeeded", "failed", "cancelled"}


def pirate_rows() -> bytes:
    lines = [
        {
            "messages": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": f"Arrr, it be {answer}, matey!"},
            ]
        }
        for question, answer in TOPICS.items()
    ]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def wait(client: OpenAI, job: FineTuningJob, timeout_s: float = 600) -> FineTuningJob:
    deadline = time.monotonic() + timeout_s
    while job.status not in ENDED:
        assert time.monotonic() < deadline, f"the job is still {job.status}"
        time.sleep(0.5)
        job = client.fine_tuning.jobs.retrieve(job.id)
    return job


def ask(client: OpenAI, model: str, question: str = UNSEEN) -> str:
    answer = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": question}],
        temperature=0,
        max_tokens=24,
    )
    return answer.choices[0].message.content or ""


def train_pirate(client: OpenAI) -> FineTuningJob:
    """One LoRA job with a validation file, run to its end."""
    training = client.files.create(file=("pirate.jsonl", pirate_rows()), purpose="fine-tune")
    validation = client.files.create(file=("valid.jsonl", pirate_rows()), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(
        model=MODEL_NAME,
        training_file=training.id,
        validation_file=validation.id,
        suffix="pirate",
        seed=1,
        method={
            "type": "supervised",
            "supervised": {"hyperparameters": {"n_epochs": 5, "batch_size": 2}},
        },
        metadata={"team": "sea"},
    )
    assert job.status == "queued"
    return wait(client, job)

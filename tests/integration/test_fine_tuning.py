"""A real LoRA job and a real QLoRA job, from upload to an answer in the trained style."""

import json
import time
from collections.abc import Callable

import openai
import pytest
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from tests.pirates import ENDED, ask, pirate_rows, wait
from tests.servers import MODEL_NAME, RunningServer
from tunery import Tunery

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def client(server: RunningServer) -> OpenAI:
    return server.client()


def test_the_new_adapter_answers_in_the_trained_style(
    client: OpenAI, lora_job: FineTuningJob
) -> None:
    assert lora_job.status == "succeeded", lora_job.error
    assert lora_job.fine_tuned_model is not None
    assert lora_job.fine_tuned_model.startswith(f"ft:{MODEL_NAME}:tunery:pirate:")
    answer = ask(client, lora_job.fine_tuned_model)
    assert answer.startswith("Arrr, it be")
    assert not ask(client, MODEL_NAME).startswith("Arrr")


def test_the_adapter_was_loaded_before_the_job_succeeded(lora_job: FineTuningJob) -> None:
    extra = lora_job.model_extra or {}
    timings = extra["timings"]
    assert timings["last_step_at"] <= timings["published_at"] <= timings["loaded_at"]
    assert lora_job.finished_at is not None
    assert timings["loaded_at"] < lora_job.finished_at + 1


def test_a_finished_job_accounts_for_itself(client: OpenAI, lora_job: FineTuningJob) -> None:
    assert lora_job.hyperparameters.n_epochs == 5
    assert lora_job.hyperparameters.batch_size == 2
    assert lora_job.estimated_finish is None
    assert lora_job.trained_tokens is not None
    assert lora_job.trained_tokens > 0
    [job] = client.fine_tuning.jobs.list(extra_query={"metadata[team]": "sea"}).data
    assert job.id == lora_job.id


def test_events_tell_what_happened(client: OpenAI, lora_job: FineTuningJob) -> None:
    events = list(client.fine_tuning.jobs.list_events(lora_job.id, limit=7))
    messages = [event.message for event in events]
    assert messages[0] == "The job has successfully completed"
    assert messages[-1] == f"Created fine-tuning job: {lora_job.id}"
    steps = [event.data for event in events if event.type == "metrics"]
    losses = [data["train_loss"] for data in reversed(steps) if "train_loss" in data]  # type: ignore[index,operator]
    assert len(losses) == 30
    assert losses[-1] < losses[0] / 2
    [data] = [event.data for event in events if event.message.startswith("Training file:")]
    assert 0 < data["trained_share"] < 1  # type: ignore[index]


def test_every_epoch_left_a_checkpoint_that_answers(
    client: OpenAI, lora_job: FineTuningJob
) -> None:
    checkpoints = list(client.fine_tuning.jobs.checkpoints.list(lora_job.id))
    assert [point.step_number for point in checkpoints] == [30, 24, 18, 12, 6]
    assert checkpoints[0].metrics.valid_loss is not None
    assert checkpoints[-1].metrics.valid_loss is not None
    assert checkpoints[0].metrics.valid_loss < checkpoints[-1].metrics.valid_loss
    name = checkpoints[0].fine_tuned_model_checkpoint
    assert name == f"{lora_job.fine_tuned_model}:ckpt-step-30"
    assert ask(client, name).startswith("Arrr")


def test_the_result_file_has_a_line_a_step(client: OpenAI, lora_job: FineTuningJob) -> None:
    [file_id] = lora_job.result_files
    assert client.files.retrieve(file_id).purpose == "fine-tune-results"
    lines = client.files.content(file_id).text.splitlines()
    assert lines[0] == "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"
    assert [line.split(",")[0] for line in lines[1:]] == [str(step) for step in range(1, 31)]
    assert all(len(line.split(",")) == 5 for line in lines)
    assert lines[6].split(",")[3]


def test_the_published_folder_holds_weights_and_nothing_private(
    server: RunningServer, lora_job: FineTuningJob
) -> None:
    [folder] = (server.home / "adapters").glob(f"ad-{lora_job.id.removeprefix('ftjob-')}/v1")
    names = {path.name for path in folder.iterdir()}
    assert names == {"adapter_config.json", "adapter_model.safetensors", "manifest.json"}
    config = (folder / "adapter_config.json").read_text()
    assert str(server.home) not in config + (folder / "manifest.json").read_text()
    assert json.loads(config)["base_model_name_or_path"] == MODEL_NAME


def test_another_tenant_sees_neither_job_nor_adapter(
    server: RunningServer, lora_job: FineTuningJob
) -> None:
    stranger = server.client(key=server.new_key("stranger"))
    assert lora_job.fine_tuned_model is not None
    with pytest.raises(openai.NotFoundError):
        stranger.fine_tuning.jobs.retrieve(lora_job.id)
    with pytest.raises(openai.NotFoundError):
        stranger.models.retrieve(lora_job.fine_tuned_model)
    with pytest.raises(openai.NotFoundError) as error:
        ask(stranger, lora_job.fine_tuned_model)
    assert error.value.code == "model_not_found"
    assert [model.id for model in stranger.models.list()] == [MODEL_NAME]


def test_a_qlora_job_which_is_watched_live(
    client: OpenAI, server: RunningServer, lora_job: FineTuningJob
) -> None:
    job = client.fine_tuning.jobs.create(
        model=MODEL_NAME,
        training_file=lora_job.training_file,
        seed=2,
        hyperparameters={"n_epochs": 4, "batch_size": 2},
        extra_body={"lora": {"quantization": "nf4", "rank": 8}},
    )
    updates = list(Tunery(base_url=f"{server.url}/v1", api_key=server.key).follow(job.id))
    assert len(updates) > 4, "what came at once was not live"
    job = updates[-1].job
    assert job.status == "succeeded", job.error
    seen = [event.id for update in updates for event in update.events]
    assert seen == [event.id for event in client.fine_tuning.jobs.list_events(job.id)][::-1]
    assert job.fine_tuned_model is not None
    assert ask(client, job.fine_tuned_model).startswith("Arrr")
    with_rank = client.get(f"/adapters/{job.fine_tuned_model}", cast_to=object)
    assert isinstance(with_rank, dict)
    assert with_rank["rank"] == 8


def test_a_running_job_is_cancelled(
    client: OpenAI, server: RunningServer, lora_job: FineTuningJob
) -> None:
    job = client.fine_tuning.jobs.create(
        model=MODEL_NAME, training_file=lora_job.training_file, hyperparameters={"n_epochs": 50}
    )
    deadline = time.monotonic() + 300
    while not (job.model_extra or {})["progress"]:
        assert job.status not in ENDED
        assert time.monotonic() < deadline
        time.sleep(0.2)
        job = client.fine_tuning.jobs.retrieve(job.id)
    assert job.estimated_finish is not None
    trainers = server.pids("tunery_adapters.training")
    assert trainers
    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    deadline = time.monotonic() + 10
    while server.pids("tunery_adapters.training"):
        assert time.monotonic() < deadline, "the trainer still runs"
        time.sleep(0.1)
    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    assert client.fine_tuning.jobs.retrieve(job.id).fine_tuned_model is None


def test_a_paused_job_frees_its_device_and_ends_as_if_nothing_had_been(
    server: RunningServer, lora_job: FineTuningJob
) -> None:
    """The adapter is that of ``lora_job``, which was not disturbed, byte by byte."""
    client = Tunery(base_url=f"{server.url}/v1", api_key=server.key)
    jobs = client.fine_tuning.jobs
    job = jobs.create(
        model=MODEL_NAME,
        training_file=lora_job.training_file,
        validation_file=lora_job.validation_file or "",
        suffix="pirate",
        seed=lora_job.seed,
        hyperparameters={"n_epochs": 5, "batch_size": 2},
    )
    job = until(client, job, lambda job: ((job.model_extra or {})["progress"] or {}).get("step"))
    assert jobs.pause(job.id).status in {"pausing", "paused"}
    job = until(client, job, lambda job: str(job.status) == "paused")
    step = (job.model_extra or {})["progress"]["step"]
    assert 1 <= step < 30
    until(client, job, lambda _: not server.pids("tunery_adapters.training"))
    assert str(jobs.pause(job.id).status) == "paused"
    assert jobs.resume(job.id).status == "queued"
    job = wait(client, job)
    assert job.status == "succeeded", job.error
    assert (job.model_extra or {})["attempt"] == 2
    messages = [event.message for event in jobs.list_events(job.id)]
    assert any(f"going on from step {step}" in message for message in messages)
    assert sha256(client, job) == sha256(client, lora_job)


def sha256(client: OpenAI, job: FineTuningJob) -> str:
    adapter = client.get(f"/adapters/{job.fine_tuned_model}", cast_to=object)
    assert isinstance(adapter, dict)
    return str(adapter["sha256"])


def until(
    client: OpenAI, job: FineTuningJob, holds: Callable[[FineTuningJob], object]
) -> FineTuningJob:
    """The job once the condition holds; it must not end before."""
    deadline = time.monotonic() + 300
    while not holds(job):
        assert job.status not in ENDED, job.error
        assert time.monotonic() < deadline
        time.sleep(0.1)
        job = client.fine_tuning.jobs.retrieve(job.id)
    return job


def test_the_client_lists_adapters_page_by_page(
    server: RunningServer, lora_job: FineTuningJob
) -> None:
    client = Tunery(base_url=f"{server.url}/v1", api_key=server.key)
    paged = [adapter.model for adapter in client.adapters.list(limit=2)]
    assert paged == [adapter.model for adapter in client.adapters.list().data]
    assert lora_job.fine_tuned_model in paged
    assert client.adapters.retrieve(paged[0]).status == "ready"


def test_a_deleted_adapter_answers_no_more(client: OpenAI, lora_job: FineTuningJob) -> None:
    name = f"{lora_job.fine_tuned_model}:ckpt-step-6"
    assert client.models.retrieve(name).id == name
    assert client.models.delete(name).deleted
    with pytest.raises(openai.NotFoundError):
        ask(client, name)


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"model": "gpt-4o"}, "model", "model_not_found"),
        ({"training_file": "file-unknown"}, "training_file", "not_found"),
        ({"suffix": "../x"}, "suffix", "invalid_value"),
        ({"suffix": "s" * 65}, "suffix", "string_above_max_length"),
        ({"seed": -1}, "seed", "integer_below_min_value"),
        ({"output_dir": "/etc"}, "output_dir", "unknown_parameter"),
        (
            {"hyperparameters": {"n_epochs": 51}},
            "hyperparameters.n_epochs",
            "integer_above_max_value",
        ),
        (
            {"hyperparameters": {"batch_size": 0}},
            "hyperparameters.batch_size",
            "integer_below_min_value",
        ),
        ({"hyperparameters": {"epochs": 1}}, "hyperparameters.epochs", "unknown_parameter"),
        ({"lora": {"rank": 64}}, "lora.rank", "integer_above_max_value"),
        ({"lora": {"quantization": "int3"}}, "lora.quantization", "invalid_value"),
        ({"lora": {"use_dora": True}}, "lora.use_dora", "unknown_parameter"),
        ({"method": {"type": "reinforcement"}}, "method.type", "unsupported_value"),
    ],
)
def test_a_bad_job_is_refused_by_name(
    client: OpenAI, lora_job: FineTuningJob, change: dict[str, object], param: str, code: str
) -> None:
    body = {"model": MODEL_NAME, "training_file": lora_job.training_file, **change}
    with pytest.raises(openai.APIStatusError) as error:
        client.post("/fine_tuning/jobs", body=body, cast_to=object)
    assert error.value.status_code in {400, 404}
    assert (error.value.param, error.value.code) == (param, code)


def test_too_few_examples_are_refused(client: OpenAI) -> None:
    few = b"".join(pirate_rows().splitlines(keepends=True)[:9])
    file = client.files.create(file=("few.jsonl", few), purpose="fine-tune")
    with pytest.raises(openai.BadRequestError) as error:
        client.fine_tuning.jobs.create(model=MODEL_NAME, training_file=file.id)
    assert error.value.param == "training_file"
    assert "at least 10" in error.value.message

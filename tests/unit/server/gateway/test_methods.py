"""Ways to train through the whole gateway, by the stock client: formats, methods, parents."""

import json
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.fine_tuning import FineTuningJob

from .composed import Gateway

USER = {"role": "user", "content": "Capital of Italy?"}
CHAT = {"messages": [USER, {"role": "assistant", "content": "Rome."}]}
PAIR = {
    "input": {"messages": [USER]},
    "preferred_output": [{"role": "assistant", "content": "Rome."}],
    "non_preferred_output": [{"role": "assistant", "content": "Who knows?"}],
}
TEXT = {"text": "Rome is the capital of Italy."}


async def upload(client: AsyncOpenAI, *rows: dict[str, Any]) -> str:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    file = await client.files.create(file=("a.jsonl", text.encode()), purpose="fine-tune")
    return file.id


def extra(job: FineTuningJob) -> dict[str, Any]:
    return job.model_extra or {}


@pytest.mark.parametrize(("given", "beta"), [({"beta": 0.25}, 0.25), ({"beta": "auto"}, 0.1)])
async def test_a_job_on_pairs_shows_its_beta(
    gateway: Gateway, given: dict[str, Any], beta: float
) -> None:
    async with gateway.openai() as client:
        made = await client.fine_tuning.jobs.create(
            model="base",
            training_file=await upload(client, *[PAIR] * 10),
            method={"type": "dpo", "dpo": {"hyperparameters": {"n_epochs": 2, **given}}},
        )
        job = await client.fine_tuning.jobs.retrieve(made.id)
    assert job.method is not None
    assert (job.method.type, job.method.supervised) == ("dpo", None)
    assert job.method.dpo is not None
    assert job.method.dpo.hyperparameters is not None
    assert job.method.dpo.hyperparameters.beta == beta
    assert job.method.dpo.hyperparameters.n_epochs == job.hyperparameters.n_epochs == 2


async def test_a_file_that_mixes_formats_is_refused(gateway: Gateway) -> None:
    async with gateway.openai() as client:
        with pytest.raises(
            openai.BadRequestError, match=r"line 11.*'text'.*line 1.*'chat'"
        ) as told:
            await upload(client, *[CHAT] * 10, TEXT)
        assert [file.id async for file in client.files.list()] == []
    assert told.value.code == "invalid_file"


@pytest.mark.parametrize(("row", "method"), [(PAIR, "supervised"), (TEXT, "dpo")])
async def test_rows_that_the_method_cannot_learn_from_are_refused(
    gateway: Gateway, row: dict[str, Any], method: Any
) -> None:
    async with gateway.openai() as client:
        file = await upload(client, *[row] * 10)
        with pytest.raises(openai.BadRequestError) as told:
            await client.fine_tuning.jobs.create(
                model="base", training_file=file, method={"type": method}
            )
    assert told.value.param == "method.type"


async def test_what_is_kept_is_shown(gateway: Gateway) -> None:
    training = {"eval_every": 5, "early_stopping": {"patience": 2}, "keep": "best"}
    async with gateway.openai() as client:
        file = await upload(client, *[TEXT] * 10)
        wish: Any = {"model": "base", "training_file": file, "extra_body": {"training": training}}
        with pytest.raises(openai.BadRequestError) as told:
            await client.fine_tuning.jobs.create(**wish)
        assert told.value.param == "training.eval_every"
        job = await client.fine_tuning.jobs.create(validation_file=file, **wish)
    assert extra(job)["training"] == {
        **training,
        "early_stopping": {"patience": 2, "min_delta": 0.0},
    }


async def test_a_job_goes_on_from_the_tenants_own_adapter(gateway: Gateway) -> None:
    parent = gateway.publish(rank=4, alpha=8.0).model
    async with gateway.openai() as client:
        file = await upload(client, *[CHAT] * 10)
        job = await client.fine_tuning.jobs.create(model=parent, training_file=file)
        assert job.model == parent
        assert extra(job)["lora"]["rank"] == 4
        with pytest.raises(openai.BadRequestError) as told:
            await client.fine_tuning.jobs.create(
                model=parent, training_file=file, extra_body={"lora": {"rank": 8}}
            )
        assert told.value.param == "lora.rank"
    async with gateway.openai(gateway.rival_key) as rival:
        file = await upload(rival, *[CHAT] * 10)
        with pytest.raises(openai.NotFoundError) as missing:
            await rival.fine_tuning.jobs.create(model=parent, training_file=file)
        assert missing.value.code == "model_not_found"


async def test_an_adapter_names_its_parent(gateway: Gateway) -> None:
    first = gateway.publish()
    second = gateway.publish(parent=first.model)
    async with gateway.openai() as client:
        models = {model.id: model.model_extra or {} async for model in client.models.list()}
    assert models[first.model]["parent"] == "base"
    assert models[second.model]["parent"] == first.model

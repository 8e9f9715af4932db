"""Whether a job fits, on a real queue that workers have told their machines."""

from pathlib import Path

import pytest
import redis

from tests.base_models import write_sizes
from tests.intake import HARDWARE
from tests.rows import a_job
from tunery_adapters.base_model import BaseModel
from tunery_adapters.spec import LoraSpec
from tunery_server.errors import InvalidRequest
from tunery_server.jobs.fit import MISFIT, Fit
from tunery_server.jobs.hardware import Hardware
from tunery_server.queue.contract import Offer
from tunery_server.queue.lanes import rounded
from tunery_server.queue.redis_queue import RedisQueue
from tunery_server.records.rows import Job

GIB = 2**30
LONG = 4000


@pytest.fixture
def queue(valkey: str) -> RedisQueue:
    client = redis.Redis.from_url(valkey)
    client.flushall()
    return RedisQueue(client, lease_s=60)


@pytest.fixture
def fit(tmp_path: Path, queue: RedisQueue) -> Fit:
    """A base model of some size: 200 million parameters."""
    folder = write_sizes(
        tmp_path, hidden_size=1024, intermediate_size=4096, num_hidden_layers=12, vocab_size=32_000
    )
    return Fit(
        base=BaseModel(str(folder)), hardware=HARDWARE, largest_machine=queue.largest_machine
    )


def tell(queue: RedisQueue, memory: int) -> None:
    """What a worker does when it asks for a job."""
    queue.claim(wait_s=0, offer=Offer(machine_memory_bytes=memory))


def job(**changes: object) -> Job:
    numbers = {"n_epochs": 3, "batch_size": 16, "learning_rate_multiplier": 1.0}
    return a_job(lora=LoraSpec(rank=16).model_dump(mode="json"), hyperparameters=numbers, **changes)


def test_nothing_is_refused_before_a_worker_was_there(fit: Fit) -> None:
    assert fit.memory_bytes(job(), LONG) > GIB
    assert fit.misfit(job(), LONG) is None


def test_nothing_is_refused_for_a_base_that_is_not_known(queue: RedisQueue) -> None:
    fit = Fit(base=BaseModel("a/b"), hardware=HARDWARE, largest_machine=queue.largest_machine)
    tell(queue, 1)
    fit.check(job(), LONG)
    fit.check_targets(LoraSpec(target_modules=("anything",)))
    assert fit.memory_bytes(job(), LONG) == 0
    assert fit.adapter_bytes(job()) is None


def refusal(fit: Fit, queue: RedisQueue, wanted: Job, longest: int, machine: int) -> InvalidRequest:
    tell(queue, machine)
    with pytest.raises(InvalidRequest) as raised:
        fit.check(wanted, longest)
    assert raised.value.code == MISFIT
    return raised.value


def test_a_batch_that_is_too_large_is_named_with_one_that_fits(fit: Fit, queue: RedisQueue) -> None:
    small = job()
    small.hyperparameters["batch_size"] = 2
    machine = rounded(fit.memory_bytes(small, 64))
    refused = refusal(fit, queue, job(), 64, machine)
    assert refused.param == "hyperparameters.batch_size"
    assert "batch_size 2 would need" in refused.message
    fit.check(small, 64)


def test_rows_that_are_too_long_are_named_with_a_length_that_fits(
    fit: Fit, queue: RedisQueue
) -> None:
    machine = rounded(fit.memory_bytes(job(), 1500))
    refused = refusal(fit, queue, job(), LONG, machine)
    assert refused.param == "training_file"
    assert f"the longest has {LONG}" in refused.message
    length = int(refused.message.split("rows of up to ")[1].split()[0])
    single = job()
    single.hyperparameters["batch_size"] = 1
    assert length >= 1500
    fit.check(single, length)
    with pytest.raises(InvalidRequest):
        fit.check(single, length + 1)


def test_a_rank_that_is_too_high_is_named(fit: Fit, queue: RedisQueue) -> None:
    high = job()
    high.lora["rank"] = 512
    refused = refusal(fit, queue, high, 8, rounded(fit.memory_bytes(job(), 8)))
    assert refused.param == "lora.rank"


def test_a_base_that_is_too_large_is_named(fit: Fit, queue: RedisQueue) -> None:
    refused = refusal(fit, queue, job(), 8, GIB // 2)
    assert refused.param == "model"
    assert "has 0.5 GiB" in refused.message


def test_what_fits_by_itself_but_not_rounded_up_to_its_lane_is_refused(
    fit: Fit, queue: RedisQueue
) -> None:
    needed = fit.memory_bytes(job(), LONG)
    assert rounded(needed) > needed
    assert refusal(fit, queue, job(), LONG, needed).param == "training_file"


def test_modules_that_the_base_does_not_have_are_named(fit: Fit) -> None:
    fit.check_targets(LoraSpec(target_modules=("q_proj", "down_proj")))
    fit.check_targets(LoraSpec())
    with pytest.raises(InvalidRequest, match="embed_tokens, lm_head: not a linear") as raised:
        fit.check_targets(LoraSpec(target_modules=("lm_head", "q_proj", "embed_tokens")))
    assert raised.value.param == "lora.target_modules"


def test_a_cpu_that_multiplies_bfloat16_holds_half(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor : 0\nflags : fpu avx512_bf16 sse\n")
    assert Hardware.of("cpu", 2, info) == Hardware("cpu", 2, 2)
    info.write_text("processor : 0\nflags : fpu sse\n")
    assert Hardware.of("cpu", 2, info) == Hardware("cpu", 4, 2)
    assert Hardware.of("cpu", 2, tmp_path / "none") == Hardware("cpu", 4, 2)
    assert Hardware.of("cuda", 2, info) == Hardware("cuda", 2, 2)

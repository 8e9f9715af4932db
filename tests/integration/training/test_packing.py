"""Packing and prefix sharing change the work, never the numbers."""

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import PeftModel

from tunery_adapters.spec import LoraSpec
from tunery_adapters.training.batches import PassLimits, Schedule, passes
from tunery_adapters.training.examples import Example
from tunery_adapters.training.model import Precision, is_packing, load_model
from tunery_adapters.training.packing import pack

pytestmark = pytest.mark.training

TOKENS = st.lists(st.integers(0, 2), min_size=2, max_size=6)


def example(ids: list[int]) -> Example:
    return Example(tuple(ids), (False, *(i % 3 != 0 for i in range(1, len(ids)))))


def prefixed(count: int) -> list[Example]:
    generator = random.Random(0)  # noqa: S311 (made-up tokens)
    shared = [generator.randrange(49152) for _ in range(12)]
    return [
        example(shared + [generator.randrange(49152) for _ in range(3 + number)])
        for number in range(count)
    ]


@given(st.lists(TOKENS, min_size=1, max_size=6))
def test_a_trie_holds_every_prefix_once(rows: list[list[int]]) -> None:
    packed = pack([example(ids) for ids in rows])
    prefixes = {tuple(ids[:length]) for ids in rows for length in range(1, len(ids) + 1)}
    assert packed.ids.shape[1] == len(prefixes)
    for ids, sequence in zip(rows, packed.sequences.tolist(), strict=True):
        nodes = sequence[: len(ids)]
        assert packed.ids[0, nodes].tolist() == ids
        assert packed.positions[0, nodes].tolist() == list(range(len(ids)))
    assert packed.sequences.flatten()[packed.places].tolist() == list(range(len(prefixes)))


@given(st.lists(TOKENS, min_size=1, max_size=6))
def test_without_sharing_every_token_is_a_node(rows: list[list[int]]) -> None:
    packed = pack([example(ids) for ids in rows], share=False)
    assert packed.ids[0].tolist() == [token for ids in rows for token in ids]


@pytest.fixture(scope="module")
def model(tiny_model: object) -> PeftModel:
    torch.manual_seed(1)
    exact = Precision(torch.device("cpu"), torch.float32)
    loaded = load_model(str(tiny_model), LoraSpec(rank=8), exact, max_length=256)
    for name, parameter in loaded.named_parameters():
        if "lora_B" in name:  # zero at first, which would hide every fault in lora_A
            torch.nn.init.normal_(parameter, std=0.1)
    return loaded


def packed_loss(model: PeftModel, examples: list[Example], *, share: bool) -> torch.Tensor:
    packed = pack(examples, share=share).to(model.device)
    logits = model(
        input_ids=packed.ids,
        position_ids=packed.positions,
        logits_to_keep=packed.sources,
        use_cache=False,
        packed=packed,
    ).logits[0]
    return torch.nn.functional.cross_entropy(logits, packed.targets, reduction="sum")


def gradients(model: PeftModel, loss: torch.Tensor) -> torch.Tensor:
    model.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    trained = [p.grad for p in model.parameters() if p.requires_grad and p.grad is not None]
    return torch.cat([gradient.flatten() for gradient in trained])


def test_packed_and_shared_equal_one_at_a_time(model: PeftModel) -> None:
    assert is_packing(model)
    examples = prefixed(5)
    alone = sum((packed_loss(model, [e], share=False) for e in examples), torch.tensor(0.0))
    expected_loss, expected = alone.item(), gradients(model, alone)
    for share in (False, True):
        loss = packed_loss(model, examples, share=share)
        assert loss.item() == pytest.approx(expected_loss, rel=1e-5)
        torch.testing.assert_close(gradients(model, loss), expected, rtol=1e-3, atol=1e-5)


def test_every_example_is_trained_once_an_epoch_in_an_order_of_its_own() -> None:
    schedule = Schedule(examples=10, batch_size=4, n_epochs=2, seed=3)
    assert (schedule.steps_per_epoch, schedule.total_steps) == (3, 6)
    epochs = [[i for step in range(e, e + 3) for i in schedule.batch(step)] for e in (0, 3)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(10))] * 2
    assert epochs[0] != epochs[1]
    assert schedule.batch(4) == Schedule(10, 4, 2, seed=3).batch(4)
    assert schedule.batch(4) != Schedule(10, 4, 2, seed=4).batch(4)


def test_passes_keep_to_their_limits() -> None:
    examples = [example([1] * length) for length in (40, 3, 5, 4, 3)]
    groups = list(passes(examples, PassLimits(tokens=12, predictions=100)))
    assert [[len(e.ids) for e in group] for group in groups] == [[3, 3, 4], [5], [40]]
    one_by_one = PassLimits(tokens=1000, predictions=1000, sequences=1)
    assert [len(group) for group in passes(examples, one_by_one)] == [1] * 5
    few = PassLimits(tokens=1000, predictions=5)
    assert sum(len(group) for group in passes(examples, few)) == 5

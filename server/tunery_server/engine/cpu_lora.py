"""LoRA on the CPU: products of whole adapters, where vLLM copies an adapter for each token.

vLLM's own CPU path gathers A and B of a token's adapter for every token of a step, which costs half
of decode and three quarters of prefill (benchmarks/README.md, L1 and L2). Here a step is cut into
runs of tokens of one adapter. A long run, as a prompt is, takes one product by A and one by B; all
short ones together take one compiled call.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise
from typing import Any

import numpy as np
import torch
from vllm.lora.layers import LoRAMapping
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU

from tunery_server.engine.cpu_kernel import Bits, Indices, add_lora

_SHORT = 16
"""Tokens of one run up to which the compiled call is faster than two products (measured on two
cores with 135 M parameters)."""


@dataclass(frozen=True, slots=True)
class Run:
    """Successive tokens of one adapter."""

    slot: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Group:
    """Tokens by adapter: ``tokens[starts[g]:starts[g + 1]]`` have the one in slot ``slots[g]``."""

    tokens: Indices
    starts: Indices
    slots: Indices

    @classmethod
    def of(cls, runs: Sequence[Run]) -> "Group":
        """All tokens of ``runs``."""
        by_slot: dict[int, list[int]] = {}
        for run in runs:
            by_slot.setdefault(run.slot, []).extend(range(run.begin, run.end))
        lengths = [0, *map(len, by_slot.values())]
        return cls(
            np.array([token for tokens in by_slot.values() for token in tokens], np.int64),
            np.cumsum(lengths, dtype=np.int64),
            np.array(list(by_slot), np.int64),
        )


class Step:
    """The adapters of a step's tokens, from the slot of each; -1 is the base model."""

    def __init__(self, slots: Sequence[int]) -> None:
        self._slots = slots

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """In the tokens' order, without the base model's."""
        sizes = [(slot, len(list(same))) for slot, same in groupby(self._slots)]
        edges = pairwise(np.cumsum([0, *(size for _, size in sizes)]).tolist())
        return tuple(
            Run(slot, begin, end)
            for (slot, _), (begin, end) in zip(sizes, edges, strict=True)
            if slot >= 0
        )

    @cached_property
    def long(self) -> tuple[Run, ...]:
        """Runs for which a product by each matrix pays."""
        return tuple(run for run in self.runs if run.end - run.begin > _SHORT)

    @cached_property
    def short(self) -> Group:
        """The others."""
        return Group.of([run for run in self.runs if run.end - run.begin <= _SHORT])


class Packed:
    """A layer's matrices, one after the other in memory.

    A layer that holds several (query, key and value) has them stacked: ``a`` of shape ``(slots,
    rows, inputs)``, ``b`` of shape ``(slots, rows, outputs)`` with rows for each rank of each, and
    zero but for the blocks on its diagonal: row ``r`` has columns ``first[r]`` to ``last[r]``.
    """

    def __init__(self, a: Sequence[torch.Tensor], b: Sequence[torch.Tensor]) -> None:
        ranks, widths = [one.shape[2] for one in a], [one.shape[2] for one in b]
        self.a = a[0].new_zeros(a[0].shape[0], sum(ranks), a[0].shape[3])
        self.b = b[0].new_zeros(b[0].shape[0], sum(ranks), sum(widths))
        edges = np.cumsum([0, *widths])
        self.first, self.last = np.repeat(edges[:-1], ranks), np.repeat(edges[1:], ranks)

    @classmethod
    def of(cls, a: Sequence[torch.Tensor], b: Sequence[torch.Tensor]) -> "Packed":
        """Move vLLM's tensors: they become views of these, so that a load writes to both.

        ``a`` of shapes ``(slots, 1, rank, inputs)``, ``b`` ``(slots, 1, outputs, rank)``.
        """
        # What is made in inference mode, in which vLLM computes, may not be written outside of it,
        # where vLLM loads.
        with torch.inference_mode(mode=False):
            packed, row = cls(a, b), 0
            for one_a, one_b in zip(a, b, strict=True):
                rows = slice(row, row := row + one_a.shape[2])
                columns = slice(packed.first[rows.start], packed.last[rows.start])
                _move(one_a, packed.a[:, None, rows])
                _move(one_b, packed.b[:, None, rows, columns].transpose(2, 3))
        return packed

    @cached_property
    def bits(self) -> tuple[Bits, Bits]:
        """The matrices for the compiled call."""
        return _bits(self.a), _bits(self.b)


def _move(tensor: torch.Tensor, place: torch.Tensor) -> None:
    place.copy_(tensor)
    tensor.data = place


def _bits(tensor: torch.Tensor) -> Bits:
    return tensor.view(torch.uint16).numpy()


class CpuLora(PunicaWrapperCPU):
    """What vLLM calls beside each layer.

    It differs from vLLM's own in what comes out, too: where a step mixes tokens of the base model
    with tokens of adapters, that one adds the last slot's adapter to the base model's.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._tokens = Step(())
        self._prompts = Step(())
        self._packed: dict[int, Packed] = {}

    def update_metadata(
        self,
        mapping: LoRAMapping,
        lora_index_to_id: list[int | None],
        max_loras: int,
        vocab_size: int,
        **kwargs: Any,
    ) -> None:
        """Before a step whose tokens have other adapters than the last one's."""
        super().update_metadata(mapping, lora_index_to_id, max_loras, vocab_size, **kwargs)
        self._tokens = Step(self.token_lora_indices.tolist())
        self._prompts = Step(self.sampler_indices.tolist())

    def add_lora_linear(
        self,
        y: torch.Tensor,
        x: torch.Tensor,
        lora_a_stacked: tuple[torch.Tensor, ...],
        lora_b_stacked: tuple[torch.Tensor, ...],
        scale: float,
        output_slices: tuple[int, ...],
        *,
        buffer: tuple[torch.Tensor, ...] | None = None,
        **kwargs: Any,
    ) -> None:
        """Add ``scale * x A B`` to ``y``.

        ``x`` of shape ``(tokens, inputs)``, ``y`` ``(tokens, outputs)``.
        """
        if not self._tokens.runs:
            return
        packed = self._pack(lora_a_stacked, lora_b_stacked)
        if packed.a.dtype != torch.bfloat16:
            _add(self._tokens.runs, y, x, packed, scale)
            return
        _add(self._tokens.long, y, x, packed, scale)
        _add_short(self._tokens.short, y, x, packed, scale)

    def add_lora_logits(
        self,
        y: torch.Tensor,
        x: torch.Tensor,
        lora_a_stacked: torch.Tensor,
        lora_b_stacked: torch.Tensor,
        scale: float,
        *,
        buffer: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> None:
        """The same at the output head, for the last token of each prompt: ``(prompts, words)``."""
        if self._prompts.runs:
            packed = self._pack((lora_a_stacked,), (lora_b_stacked,))
            _add(self._prompts.runs, y[:, : packed.b.shape[2]], x, packed, scale)

    def add_lora_embedding(
        self,
        y: torch.Tensor,
        x: torch.Tensor,
        lora_b_stacked: torch.Tensor,
        add_inputs: bool = True,
        **kwargs: Any,
    ) -> None:
        """Add ``x B`` to ``y``; ``x`` are rows of A: ``(tokens, rank)``."""
        for run in self._tokens.runs:
            y[run.begin : run.end].addmm_(x[run.begin : run.end], lora_b_stacked[run.slot, 0].T)

    def _pack(self, a: tuple[torch.Tensor, ...], b: tuple[torch.Tensor, ...]) -> Packed:
        """Of a layer, at its first step with an adapter."""
        key = id(a[0])
        if key not in self._packed:
            self._packed[key] = Packed.of(a, b)
        return self._packed[key]


def _add(
    runs: Sequence[Run], y: torch.Tensor, x: torch.Tensor, packed: Packed, scale: float
) -> None:
    for run in runs:
        low = x[run.begin : run.end] @ packed.a[run.slot].T
        y[run.begin : run.end].addmm_(low, packed.b[run.slot], alpha=scale)


def _add_short(
    group: Group, y: torch.Tensor, x: torch.Tensor, packed: Packed, scale: float
) -> None:
    if not group.slots.size:
        return
    bits = _bits(y), _bits(x.contiguous()), *packed.bits
    add_lora(*bits, group.tokens, group.starts, group.slots, packed.first, packed.last, scale)

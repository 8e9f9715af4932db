"""Several sequences in one row, without padding and without computing a shared prefix twice.

Sequences that begin alike (the same system prompt, the same instructions) have the same hidden
states there, for attention looks only backwards. So the sequences are laid into a trie, each
node of which goes through the model once; gradients add up at the nodes that are shared. Only
attention sees whole sequences: it gathers them from the row, pads on the right, where a causal
mask hides the padding from every real token, and scatters the result back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AttentionInterface

from tunery_adapters.training.examples import Example

ATTENTION = "tunery_packed"


@dataclass(frozen=True, slots=True)
class Packed:
    """N nodes that stand for B sequences of up to L tokens, with S supervised predictions."""

    ids: Tensor
    """[1, N] token ids."""
    positions: Tensor
    """[1, N] place of each node in its sequence."""
    sequences: Tensor
    """[B, L] node at each place of each sequence; past its end any node will do."""
    places: Tensor
    """[N] one place of each node in the flattened ``sequences``."""
    sources: Tensor
    """[S] node whose output predicts ..."""
    targets: Tensor
    """[S] ... this token id."""

    def to(self, device: torch.device) -> "Packed":
        """Return a copy on ``device``."""
        return Packed(*(getattr(self, name).to(device) for name in Packed.__slots__))


def pack(examples: Sequence[Example], *, share: bool = True) -> Packed:
    """Lay the examples into one row; ``share=False`` computes every token on its own."""
    nodes: dict[tuple[int, int], int] = {}
    ids: list[int] = []
    sequences: list[list[int]] = []
    for number, example in enumerate(examples):
        parent = -1 if share else -1 - number
        sequence: list[int] = []
        for token in example.ids:
            parent = nodes.setdefault((parent, token), len(ids))
            if parent == len(ids):
                ids.append(token)
            sequence.append(parent)
        sequences.append(sequence)
    return _packed(examples, ids, sequences)


def _packed(examples: Sequence[Example], ids: list[int], sequences: list[list[int]]) -> Packed:
    length = max(map(len, sequences))
    positions, places = [0] * len(ids), [0] * len(ids)
    for number, sequence in enumerate(sequences):
        for position, node in enumerate(sequence):
            positions[node], places[node] = position, number * length + position
    predictions = [
        (sequence[i - 1], example.ids[i])
        for example, sequence in zip(examples, sequences, strict=True)
        for i in range(1, len(sequence))
        if example.supervised[i]
    ]
    return Packed(
        ids=torch.tensor([ids]),
        positions=torch.tensor([positions]),
        sequences=torch.tensor([s + [0] * (length - len(s)) for s in sequences]),
        places=torch.tensor(places),
        sources=torch.tensor([source for source, _ in predictions]),
        targets=torch.tensor([target for _, target in predictions]),
    )


def packed_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    packed: Packed,
    **_: Any,
) -> tuple[Tensor, None]:
    """Causal attention within each sequence of ``packed``.

    ``query`` [1, H, N, D], ``key`` and ``value`` [1, H', N, D] give [1, N, H, D].
    """
    output = F.scaled_dot_product_attention(
        _gather(query, packed.sequences),
        _gather(key, packed.sequences),
        _gather(value, packed.sequences),
        is_causal=True,
        scale=scaling,
        enable_gqa=key.shape[1] != query.shape[1],
    )
    heads, width = query.shape[1], value.shape[3]
    flat = output.transpose(1, 2).reshape(-1, heads * width)
    return F.embedding(packed.places, flat).view(1, -1, heads, width), None


def _gather(states: Tensor, sequences: Tensor) -> Tensor:
    """[1, H, N, D] by [B, L] gives [B, H, L, D].

    An embedding look-up, because its backward adds up repeated rows faster than index_select's.
    """
    _, heads, nodes, width = states.shape
    rows = states[0].transpose(0, 1).reshape(nodes, heads * width)
    return F.embedding(sequences, rows).view(*sequences.shape, heads, width).transpose(1, 2)


AttentionInterface.register(ATTENTION, packed_attention)

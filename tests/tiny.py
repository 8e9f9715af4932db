"""A random two-layer Llama under the real tokenizer: nothing to learn from, but quick."""

from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

TINY = LlamaConfig(
    vocab_size=49152,
    hidden_size=64,
    intermediate_size=128,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=512,
    tie_word_embeddings=True,
)


SERVED = LlamaConfig(**{**TINY.to_diff_dict(), "head_dim": 32})
"""With heads of 32: vLLM's attention on a CPU has none smaller."""


def write_tiny_model(folder: Path, base_model: Path, config: LlamaConfig = TINY) -> None:
    """The same weights every time."""
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)  # type: ignore[no-untyped-call]
    AutoTokenizer.from_pretrained(base_model).save_pretrained(folder)

"""Ids: random, never reused, safe as a file name."""

import secrets


def new_id(prefix: str) -> str:
    """``prefix`` and 128 random bits in hexadecimal, such as ``file-4f0c…``."""
    return f"{prefix}{secrets.token_hex(16)}"


def new_model_suffix() -> str:
    """The last part of a fine-tuned model's name: 64 random bits."""
    return secrets.token_hex(8)

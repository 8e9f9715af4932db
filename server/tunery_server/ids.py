"""Ids: random, never reused, safe as a file name."""

import secrets


def new_id(prefix: str) -> str:
    """``prefix`` and 128 random bits in hexadecimal, such as ``file-4f0c…``."""
    return f"{prefix}{secrets.token_hex(16)}"

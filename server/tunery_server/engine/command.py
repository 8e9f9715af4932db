"""The engine's command line and environment, from the settings."""

import os
import sys
from collections.abc import Mapping, Sequence

from tunery_server.config import Settings
from tunery_server.telemetry.logging import get_logger

_CPU_KV_CACHE_BYTES = 2**30

_CUDA_SHARE = 0.6
"""Of the GPU's memory: the rest is the trainer's."""

_STRIPPED_PREFIXES = ("VLLM_", "TUNERY_", "DATABASE_URL", "REDIS_URL", "OPENAI_", "AWS_")
"""The engine sees no setting that could open a door in it, and no secret of ours."""


def engine_command(settings: Settings, device: str, extra: Sequence[str] = ()) -> list[str]:
    """Arguments for our launcher, in vLLM's own words; ``extra`` is passed on as it is."""
    options: dict[str, object] = {
        "--model": settings.base_model_path,
        "--served-model-name": settings.base_model_name,
        "--uds": settings.engine_socket,
        "--max-loras": settings.max_loras,
        "--max-cpu-loras": settings.places_in_memory,
        "--max-lora-rank": settings.max_lora_rank,
        "--max-model-len": settings.max_model_len,
        "--dtype": settings.dtype,
        "--tensor-parallel-size": settings.tensor_parallel_size,
        # Content parts are joined by newlines, as the trainer joins them.
        "--chat-template-content-format": "string",
        "--tool-call-parser": settings.tool_call_parser,
        # Its work on a grammar is bounded; another's holds up everybody on a hostile schema.
        "--structured-outputs-config.backend": "guidance",
        "--max-num-seqs": settings.max_num_seqs,
        "--gpu-memory-utilization": cuda_share(settings, device),
        "--kv-cache-memory-bytes": kv_cache_bytes(settings, device),
        "--shutdown-timeout": int(settings.drain_timeout_s),
    }
    flags = [
        "--enable-lora",
        "--enable-auto-tool-choice",
        "--enable-prompt-tokens-details",
        "--disable-fastapi-docs",
    ]
    pairs = [
        str(word) for name, value in options.items() if value is not None for word in (name, value)
    ]
    return [sys.executable, "-m", "tunery_server.engine.launch", *pairs, *flags, *extra]


def engine_environment(base: Mapping[str, str], key: str) -> dict[str, str]:
    """The parent's environment without what is not the engine's, plus its key and our plug-in."""
    kept = {name: value for name, value in base.items() if not name.startswith(_STRIPPED_PREFIXES)}
    return {
        **kept,
        "VLLM_API_KEY": key,
        "VLLM_PLUGINS": "tunery",
        # Calls that are forced go by JSON schema; structural tags are another backend's.
        "VLLM_ENFORCE_STRICT_TOOL_CALLING": "0",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def kv_cache_bytes(settings: Settings, device: str) -> int | None:
    """Room for the KV cache; None where vLLM chooses."""
    if settings.kv_cache_memory_bytes is not None or device != "cpu":
        return settings.kv_cache_memory_bytes
    return _CPU_KV_CACHE_BYTES


def cuda_share(settings: Settings, device: str) -> float | None:
    """Of a GPU's memory, for the engine; None on a CPU."""
    if settings.gpu_memory_utilization is not None or device != "cuda":
        return settings.gpu_memory_utilization
    return _CUDA_SHARE


def detect_device(settings: Settings) -> str:
    """``cuda`` where an NVIDIA driver is loaded, else ``cpu``; the setting overrides."""
    if settings.device != "auto":
        return settings.device
    device = "cuda" if os.path.exists("/proc/driver/nvidia/version") else "cpu"  # noqa: PTH110
    get_logger(__name__).debug("device detected", device=device)
    return device

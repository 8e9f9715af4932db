"""The base model, frozen, with a fresh LoRA attached."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    PreTrainedConfig,
    PreTrainedModel,
)

from tunery_adapters.spec import LINEAR_MODULES, LoraSpec
from tunery_adapters.training.failures import InvalidModelError
from tunery_adapters.training.packing import ATTENTION
from tunery_adapters.training.tokenizer import refuse_remote_code, source

_NATIVE_BFLOAT16 = {"avx512_bf16", "amx_bf16"}
_PLAIN_LAYERS = {"full_attention", "sliding_attention"}


@dataclass(frozen=True, slots=True)
class Precision:
    """Where and in what numbers the frozen base computes; the LoRA itself is always float32."""

    device: torch.device
    dtype: torch.dtype

    @classmethod
    def here(cls) -> "Precision":
        """bfloat16 on CUDA and on a CPU that multiplies it in hardware, float32 elsewhere.

        With avx512_bf16 it trained SmolLM2-135M 1.35 times as fast as float32 (2 cores, 72-token
        rows: 395 against 287 tokens/s); where it is emulated it is the slower of the two.
        """
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        native = device.type == "cuda" or not _NATIVE_BFLOAT16.isdisjoint(_cpu_features())
        return cls(device, torch.bfloat16 if native else torch.float32)

    @classmethod
    def named(cls, dtype: str) -> "Precision":
        """Return the dtype that a checkpoint was made with, on this machine's device."""
        return cls(cls.here().device, getattr(torch, dtype))

    @property
    def dtype_name(self) -> str:
        """torch's name without its prefix, such as ``float32``."""
        return str(self.dtype).removeprefix("torch.")


def _cpu_features() -> set[str]:
    return {name for name, has in torch.cpu.get_capabilities().items() if has is True}


def load_model(path: str, lora: LoraSpec, precision: Precision, *, max_length: int) -> PeftModel:
    """Load the base and attach the LoRA, initialised by torch's global generator.

    Raises InvalidModelError when the LoRA targets what is no linear layer of the base.
    """
    refuse_remote_code(path)
    config = AutoConfig.from_pretrained(path, **source(path))
    kwargs: dict[str, Any] = {"dtype": precision.dtype, "use_safetensors": True, **source(path)}
    if can_pack(config, max_length):
        kwargs["attn_implementation"] = ATTENTION
    if lora.quantization == "nf4":
        kwargs["quantization_config"] = _nf4(precision)
    if precision.device.type == "cuda":
        kwargs["device_map"] = {"": precision.device}
    base: PreTrainedModel = AutoModelForCausalLM.from_pretrained(path, **kwargs)
    _check_targets(base, lora)
    model: PeftModel = get_peft_model(base, _lora_config(lora))
    return model


def can_pack(config: PreTrainedConfig, max_length: int) -> bool:
    """Whether the model's attention is plain causal attention at these lengths.

    Others (recurrent layers, soft-capped scores, a window shorter than the examples) train one
    sequence a pass with their own attention.
    """
    text = config.get_text_config()
    window = getattr(text, "sliding_window", None)
    return (
        set(getattr(text, "layer_types", None) or ()) <= _PLAIN_LAYERS
        and (window is None or window >= max_length)
        and getattr(text, "attn_logit_softcapping", None) is None
        and text.model_type not in ("gpt_oss",)  # its attention sinks are learnt scores
        and _supports_attention_functions(config)
    )


def is_packing(model: PeftModel) -> bool:
    """Whether the model was loaded with packed attention."""
    return bool(model.config._attn_implementation == ATTENTION)


def _supports_attention_functions(config: PreTrainedConfig) -> bool:
    architecture = AutoModelForCausalLM._model_mapping.get(type(config), None)
    return bool(getattr(architecture, "_supports_attention_backend", False))


def _nf4(precision: Precision) -> BitsAndBytesConfig:
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=precision.dtype,
    )


def _lora_config(lora: LoraSpec) -> LoraConfig:
    every = lora.target_modules == LINEAR_MODULES
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]  # any number will do
        lora_dropout=lora.dropout,
        target_modules=LINEAR_MODULES if every else list(lora.target_modules),
    )


def _check_targets(base: PreTrainedModel, lora: LoraSpec) -> None:
    if lora.target_modules == LINEAR_MODULES:
        return
    known = set(_linear_names(base))
    unknown = sorted(set(lora.target_modules) - known)
    if unknown:
        raise InvalidModelError(
            f"{', '.join(unknown)}: not a linear layer of the base model, which has "
            f"{', '.join(sorted(known))}.",
            "lora.target_modules",
        )


def _linear_names(base: PreTrainedModel) -> Iterator[str]:
    head = base.get_output_embeddings()  # type: ignore[no-untyped-call]
    for name, module in base.named_modules():
        if isinstance(module, torch.nn.Linear) and module is not head:
            yield name.rpartition(".")[2]

"""``python -m tunery_adapters.training.merge <base model> <adapter> <target>``: full weights.

The adapter is added to the base model's weights, in the base's own numbers, so that a server
without LoRA can serve the two as one. The folder is there only when it is whole.
"""

import os
import shutil
import sys
from pathlib import Path

from peft import PeftModel
from transformers import AutoConfig, AutoModelForCausalLM

from tunery_adapters.training.failures import InvalidModelError, TrainingError
from tunery_adapters.training.tokenizer import load_tokenizer

_LOCAL = {"trust_remote_code": False, "local_files_only": True}


def merge(base: str, adapter: Path, target: Path) -> None:
    """Write the merged model and its tokenizer to ``target``, which is not there yet.

    Raises InvalidModelError for a base whose weights are quantised.
    """
    if getattr(AutoConfig.from_pretrained(base, **_LOCAL), "quantization_config", None):
        raise InvalidModelError("The base model is quantised; merge into the full one.", "model")
    staged = target.with_name(f".tmp-{target.name}-{os.getpid()}")
    staged.mkdir(parents=True)
    try:
        load_tokenizer(base, templated=False).save_pretrained(staged)
        _merged(base, adapter).save_pretrained(str(staged))
        staged.rename(target)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _merged(base: str, adapter: Path) -> PeftModel:
    model = AutoModelForCausalLM.from_pretrained(base, dtype="auto", use_safetensors=True, **_LOCAL)
    adapted = PeftModel.from_pretrained(model, str(adapter), torch_device="cpu")
    merged: PeftModel = adapted.merge_and_unload(safe_merge=True)
    return merged


def main(arguments: list[str]) -> int:
    """Merge what the three arguments name; returns the exit status."""
    match arguments:
        case [base, adapter, target]:
            return _told(base, Path(adapter), Path(target).absolute())
        case _:
            sys.stderr.write(
                "usage: python -m tunery_adapters.training.merge <base model> <adapter> <target>\n"
            )
            return 2


def _told(base: str, adapter: Path, target: Path) -> int:
    try:
        merge(base, adapter, target)
    except TrainingError as error:
        sys.stderr.write(f"tunery: {error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

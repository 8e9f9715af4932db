"""vLLM's platform for CPU, with our way of adding LoRA."""

from vllm.platforms.cpu import CpuPlatform


class TuneryCpuPlatform(CpuPlatform):
    """vLLM's own but for the LoRA."""

    @classmethod
    def get_punica_wrapper(cls) -> str:
        """By name: the class can be imported only once the platform is known."""
        return "tunery_server.engine.cpu_lora.CpuLora"

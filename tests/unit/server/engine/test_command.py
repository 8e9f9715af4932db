import pytest

from tunery_server.config import Settings
from tunery_server.engine.command import detect_device, engine_command, engine_environment


def option(command: list[str], name: str) -> str | None:
    return command[command.index(name) + 1] if name in command else None


def test_settings_become_vllms_options(settings: Settings) -> None:
    settings = settings.model_copy(update={"max_loras": 8, "max_cpu_loras": 4, "model": "org/m"})
    command = engine_command(settings, "cuda", ["--seed", "1"])
    assert option(command, "--model") == "org/m"
    assert option(command, "--served-model-name") == "base"
    assert option(command, "--uds") == str(settings.engine_socket)
    assert option(command, "--max-loras") == "8"
    assert option(command, "--max-cpu-loras") == "8"
    assert "--enable-lora" in command
    assert "--max-num-seqs" not in command
    assert command[-2:] == ["--seed", "1"]


def test_the_engine_listens_on_no_port(settings: Settings) -> None:
    command = engine_command(settings, "cpu")
    assert "--host" not in command
    assert "--port" not in command


def test_room_for_the_cache_is_bounded_on_a_cpu(settings: Settings) -> None:
    assert option(engine_command(settings, "cpu"), "--kv-cache-memory-bytes") == str(2**30)
    assert option(engine_command(settings, "cuda"), "--kv-cache-memory-bytes") is None
    settings = settings.model_copy(update={"kv_cache_memory_bytes": 2**22})
    assert option(engine_command(settings, "cpu"), "--kv-cache-memory-bytes") == str(2**22)


@pytest.mark.parametrize(
    "name",
    [
        "VLLM_SERVER_DEV_MODE",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING",
        "VLLM_ALLOW_INSECURE_SERIALIZATION",
        "TUNERY_API_KEY",
        "DATABASE_URL",
        "REDIS_URL",
        "OPENAI_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
    ],
)
def test_no_door_and_no_secret_gets_into_the_engine(name: str) -> None:
    environment = engine_environment({name: "x", "PATH": "/bin"}, "key")
    assert name not in environment
    assert environment["PATH"] == "/bin"
    assert environment["VLLM_API_KEY"] == "key"
    assert environment["VLLM_PLUGINS"] == "tunery"


def test_the_device_can_be_chosen(settings: Settings) -> None:
    for device in ("cpu", "cuda"):
        assert detect_device(settings.model_copy(update={"device": device})) == device
    assert detect_device(settings) in {"cpu", "cuda"}

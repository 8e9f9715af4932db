"""compose.yaml: services, what they run, what they may and may not do."""

import re
import subprocess
from functools import cache
from typing import Any

import pytest
import yaml

from tests.deploy.deployed import DEPLOY, IMAGES, assert_commands, tool, unknown_settings
from tunery_server.config import Settings
from tunery_server.queue import durability
from tunery_server.supervisor import serve

FILE = DEPLOY / "compose.yaml"
DRAIN_S = Settings.model_fields["drain_timeout_s"].default


@cache
def compose() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text())


SERVICES: dict[str, Any] = compose()["services"]
OURS = {name for name, service in SERVICES.items() if service["image"].startswith("tunery:")}


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def test_the_services_and_their_profiles() -> None:
    profiles = {name: tuple(service.get("profiles", ())) for name, service in SERVICES.items()}
    assert profiles == {
        "gateway": (),
        "migrate": (),
        "valkey": (),
        "engine-cpu": ("cpu",),
        "worker-cpu": ("cpu",),
        "engine-gpu": ("gpu",),
        "worker-gpu": ("gpu",),
        "postgres": ("postgres",),
        "metrics-key": ("observability",),
        "prometheus": ("observability",),
        "grafana": ("observability",),
    }


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_service_of_ours_runs_a_command_that_there_is(name: str) -> None:
    service = SERVICES[name]
    assert service["image"].rpartition("-")[2] in IMAGES
    if "entrypoint" in service:
        assert service["entrypoint"] == ["sh", "-ec"]
        assert_commands(re.search(r"tunery (.+)", " ".join(service["command"]))[1].split())  # type: ignore[index]
    else:
        assert_commands(service["command"])
    assert not unknown_settings(service.get("environment", {}))


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_is_hardened_and_its_image_has_a_tag(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"\S+:(\$\{TUNERY_TAG:-)?v?\d+\.\d+\.?\d*\}?(-\w+)?", service["image"])


def test_what_is_published_is_on_loopback() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    for port in ports:
        assert port.startswith(("127.0.0.1:", "${TUNERY_HOST:-127.0.0.1}:")), port


@pytest.mark.parametrize("profile", ["cpu", "gpu", "observability", "postgres"])
def test_what_a_profile_waits_for_is_there(profile: str) -> None:
    there = {name for name, one in SERVICES.items() if profile in one.get("profiles", [profile])}
    for name in there:
        wanted = SERVICES[name].get("depends_on", {})
        needed = [
            other
            for other in wanted
            if isinstance(wanted, list) or wanted[other].get("required", True)
        ]
        assert there.issuperset(needed), name


def test_volumes_networks_and_secrets_are_declared() -> None:
    for service in SERVICES.values():
        assert compose()["networks"].keys() >= set(service["networks"])
        assert compose()["secrets"].keys() >= set(service.get("secrets", ()))
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).is_dir()
            else:
                assert source in compose()["volumes"]


def test_nothing_is_killed_that_still_drains() -> None:
    grace = {name: seconds(SERVICES[name].get("stop_grace_period", "0s")) for name in OURS}
    assert grace["gateway"] >= DRAIN_S + 5
    for device in ("cpu", "gpu"):
        assert grace[f"engine-{device}"] > DRAIN_S
        assert grace[f"worker-{device}"] > serve._TRAINER_GRACE_S


def test_valkey_keeps_jobs() -> None:
    words = SERVICES["valkey"]["command"][1:]
    options = dict(zip(words[::2], words[1::2], strict=True))
    assert (
        durability.WANTED.items() <= {k.removeprefix("--"): v for k, v in options.items()}.items()
    )


def test_a_worker_has_the_settings_and_no_way_out_but_redis() -> None:
    for device in ("cpu", "gpu"):
        worker = SERVICES[f"worker-{device}"]
        assert worker["networks"] == ["backend"]
        assert worker["env_file"] == SERVICES["gateway"]["env_file"]
    assert compose()["networks"]["backend"]["internal"] is True


def test_the_example_of_settings_names_settings() -> None:
    text = (DEPLOY / "tunery.env.example").read_text()
    names = re.findall(r"^#?([A-Z_]+)=", text, re.M)
    assert len(names) > 5
    assert not unknown_settings(names)


def test_prometheus_asks_the_gateway_with_the_key_that_is_made_for_it() -> None:
    text = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
    [job] = yaml.safe_load(text)["scrape_configs"]
    key = job["authorization"]["credentials_file"]
    assert key in SERVICES["metrics-key"]["command"][0]
    mounts = dict(volume.split(":")[:2] for volume in SERVICES["prometheus"]["volumes"])
    assert mounts["metrics-key"] == key.rpartition("/")[0]
    [target] = job["static_configs"][0]["targets"]
    host, port = target.split(":")
    assert SERVICES[host]["environment"]["TUNERY_PORT"] == port
    subprocess.run(
        [tool("promtool"), "check", "config", "--syntax-only", "/dev/stdin"],
        input=text.encode(),
        check=True,
        capture_output=True,
    )


def test_the_file_fits_the_compose_specification() -> None:
    command = [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(FILE)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout

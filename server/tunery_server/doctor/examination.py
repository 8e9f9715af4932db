"""Every check, side by side, each for a few seconds at most."""

import time
from collections.abc import Sequence
from functools import partial
from threading import Thread

from tunery_server.config import Settings
from tunery_server.doctor.engine_checks import engine_checks
from tunery_server.doctor.finding import Check, Finding, fail
from tunery_server.doctor.folder_checks import folder_checks
from tunery_server.doctor.model_checks import model_checks
from tunery_server.doctor.package_checks import package_checks
from tunery_server.doctor.record_checks import record_checks
from tunery_server.doctor.redis_checks import redis_checks
from tunery_server.engine.vllm_http import VllmEngine
from tunery_server.errors import TuneryError

PATIENCE_S = 8.0


def checks_of(settings: Settings) -> dict[str, Check]:
    """By name, in the order in which they are told."""

    def engine() -> VllmEngine:
        key = settings.engine_key_file.read_text
        return VllmEngine(settings.engine_socket, key, request_timeout_s=PATIENCE_S)

    return {
        "packages": package_checks,
        "data folder": partial(folder_checks, settings),
        "redis": partial(redis_checks, settings),
        "record": partial(record_checks, settings),
        "base model": partial(model_checks, settings),
        "engine": partial(engine_checks, settings.engine_socket, engine),
    }


def examine(checks: dict[str, Check], *, within_s: float = PATIENCE_S) -> Sequence[Finding]:
    """What all of them find, within so many seconds altogether; one that goes on is left alone."""
    findings: dict[str, list[Finding]] = {name: [] for name in checks}
    # Daemons: one that hangs in a system call must not keep the command from ending.
    threads = {
        name: Thread(target=_run, args=(name, check, findings[name]), daemon=True)
        for name, check in checks.items()
    }
    deadline = time.monotonic() + within_s
    for thread in threads.values():
        thread.start()
    for name, thread in threads.items():
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            hangs = f"no answer within {within_s:g} s"
            findings[name] = [*findings[name], fail(name, hangs, "see whether its host is up")]
    return [finding for found in findings.values() for finding in found]


def _run(name: str, check: Check, into: list[Finding]) -> None:
    try:
        into.extend(check())
    except TuneryError as error:
        into.append(fail(name, error.message, "see docs/doctor.md"))
    except Exception as error:  # whatever it is, the other checks are to be told
        into.append(fail(name, f"{type(error).__name__}: {error}", "see docs/doctor.md"))

"""All processes of one machine, in order up and in order down."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from functools import partial

import redis.asyncio
from redis.exceptions import RedisError

from tunery_server.config import Settings
from tunery_server.engine.command import detect_device, engine_command, engine_environment
from tunery_server.engine.vllm_http import VllmEngine
from tunery_server.errors import ConfigError, EngineUnavailable
from tunery_server.processes import child
from tunery_server.queue import durability
from tunery_server.supervisor import banner
from tunery_server.supervisor.home import prepare, prepare_engine, unpacking
from tunery_server.supervisor.service import Service, Spec
from tunery_server.supervisor.valkey import check_socket_path, hold_alone, valkey_command
from tunery_server.supervisor.watchdog import Watchdog
from tunery_server.telemetry.logging import configure, get_logger
from tunery_server.webhooks.destinations import Destinations

log = get_logger(__name__)

_VALKEY_WAIT_S = 20.0
_GATEWAY_WAIT_S = 60.0
_POLL_S = 0.02
_GRACE_S = 10.0
_ENGINE_DEATHS = 5
_TRAINER_GRACE_S = 75.0
"""A trainer finishes its step and writes a checkpoint before its worker ends."""


def run(settings: Settings, engine_arguments: Sequence[str]) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    configure(settings.log_level, process="serve")
    for path in (settings.valkey_socket, settings.engine_socket):
        check_socket_path(path)
    _check_port(settings)
    durability.check(settings)
    Destinations.of(settings.webhook_hosts)  # the gateway would stumble over it again and again
    fresh = prepare(settings)
    lock = hold_alone(settings.home / "valkey")
    try:
        asyncio.run(_Server(settings, engine_arguments).run(fresh))
    finally:
        os.close(lock)


def _check_port(settings: Settings) -> None:
    """Raises ConfigError when the gateway could not listen."""
    try:
        socket.create_server((settings.host, settings.port)).close()
    except OSError as error:
        raise ConfigError(
            f"Cannot listen on {settings.host}:{settings.port} ({error.strerror}). "
            "Set TUNERY_PORT, or stop what listens there."
        ) from error


class _Server:
    def __init__(self, settings: Settings, engine_arguments: Sequence[str]) -> None:
        self._settings = settings
        self._unpacking = unpacking(settings)
        self._engine_arguments = engine_arguments
        self._started_at = time.monotonic()
        self._address = "127.0.0.1" if settings.host == "0.0.0.0" else settings.host  # noqa: S104
        self._running: list[Service] = []
        self._stopping = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    async def run(self, fresh: bool) -> None:
        """Valkey, gateway, base model, engine, worker; then wait; then down again."""
        loop = asyncio.get_running_loop()
        for sig in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sig, self._stop)
        try:
            await self._up(fresh)
            await self._stopping.wait()
        finally:
            log.info("stopping")
            if self._watching is not None:
                self._watching.cancel()
            await self._down()

    def _stop(self) -> None:
        """Drain and end; called again, end at once."""
        if self._stopping.is_set():
            for service in self._running:
                service.hurry()
        self._stopping.set()

    async def _up(self, fresh: bool) -> None:
        if self._settings.redis_url is None:
            await self._start(self._valkey())
            await self._wait_for_valkey()
        await self._start(self._ours("gateway", stop_grace_s=self._settings.drain_timeout_s + 5))
        await self._wait_for_gateway()
        banner.show(self._settings, fresh)
        if not await self._have_base_model():
            return
        engine = await self._start(self._engine())
        self._watching = asyncio.create_task(self._watch(engine))
        await self._start(self._ours("worker", stop_grace_s=_TRAINER_GRACE_S))
        await self._announce_ready()

    async def _down(self) -> None:
        """The gateway drains first, the engine follows it, what keeps the queue goes last."""
        order = {"gateway": 0, "worker": 0, "engine": 1, "valkey": 2}
        for stage in (0, 1, 2):
            services = [s for s in self._running if order[s.name] == stage]
            await asyncio.gather(*(service.stop() for service in services))

    async def _start(self, spec: Spec) -> Service:
        service = Service(spec)
        self._running.append(service)
        await service.start()
        return service

    async def _watch(self, service: Service) -> None:
        """Until the server stops: an engine that drains may take its time."""
        engine, patience_s = self._vllm(), self._settings.engine_patience_s
        try:
            await Watchdog(service, partial(engine.pulse, patience_s)).run()
        finally:
            await engine.close()

    def _vllm(self) -> VllmEngine:
        settings = self._settings
        return VllmEngine(
            settings.engine_socket, settings.engine_key_file.read_text, request_timeout_s=_GRACE_S
        )

    async def _have_base_model(self) -> bool:
        """Convert the bundled model, the first time; False when stopped meanwhile."""
        if self._unpacking is None:
            return True
        process = await child.start(self._unpacking, os.environ)
        stopped = asyncio.create_task(self._stopping.wait())
        ended = asyncio.create_task(process.wait())
        await asyncio.wait({stopped, ended}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        status = await child.stop(process, grace_s=_GRACE_S)
        if status != 0 and not self._stopping.is_set():
            raise ConfigError("The bundled base model could not be prepared; see above.")
        return not self._stopping.is_set()

    async def _wait_for_gateway(self) -> None:
        """The gateway's imports are quick when the engine's do not run beside them."""
        deadline = time.monotonic() + _GATEWAY_WAIT_S
        while time.monotonic() < deadline and not self._stopping.is_set():
            try:
                _, writer = await asyncio.open_connection(self._address, self._settings.port)
                writer.close()
                return
            except OSError:
                await asyncio.sleep(_POLL_S)

    async def _wait_for_valkey(self) -> None:
        client = redis.asyncio.Redis.from_url(self._settings.redis)
        deadline = time.monotonic() + _VALKEY_WAIT_S
        while True:
            try:
                await client.ping()
                break
            except (RedisError, OSError) as error:
                if time.monotonic() > deadline:
                    raise ConfigError("Valkey did not start; see its log.") from error
                await asyncio.sleep(_POLL_S)
        await client.aclose()

    async def _announce_ready(self) -> None:
        settings, engine = self._settings, self._vllm()
        try:
            while not self._stopping.is_set():
                try:
                    await engine.status()
                    banner.ready(settings, time.monotonic() - self._started_at)
                    return
                except EngineUnavailable:
                    await asyncio.sleep(_POLL_S * 10)
        finally:
            await engine.close()

    def _valkey(self) -> Spec:
        folder = self._settings.home / "valkey"
        return Spec(
            name="valkey",
            command=valkey_command(folder, self._settings.valkey_socket),
            environment=lambda: dict(os.environ),
            log_file=folder / "valkey.log",
            stop_grace_s=_GRACE_S,
            death_signal=signal.SIGTERM,
        )

    def _ours(self, name: str, *, stop_grace_s: float) -> Spec:
        return Spec(
            name=name,
            command=[sys.executable, "-m", "tunery_server", name],
            environment=lambda: dict(os.environ),
            log_file=None,
            stop_grace_s=stop_grace_s,
            # Ends as after SIGTERM: the gateway drains, the worker leaves a checkpoint.
            death_signal=signal.SIGTERM,
        )

    def _engine(self) -> Spec:
        settings = self._settings
        device = detect_device(settings)
        return Spec(
            name="engine",
            command=engine_command(settings, device, self._engine_arguments),
            environment=lambda: engine_environment(os.environ, prepare_engine(settings)),
            log_file=settings.home / "engine.log",
            stop_grace_s=settings.drain_timeout_s,
            deaths=_ENGINE_DEATHS,
        )

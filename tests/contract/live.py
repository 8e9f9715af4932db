"""A gateway that listens, for contracts that are tested over HTTP."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.base_models import write_sizes
from tests.engines import ScriptedEngine
from tests.loopback import serving
from tests.servers import free_port
from tests.unit.server.gateway.composed import Gateway, composed
from tunery_server.config import Settings
from tunery_server.records.database import Database


@dataclass(frozen=True)
class Live:
    """A gateway that listens at ``url``, with keys of two tenants."""

    gateway: Gateway
    url: str

    @property
    def keys(self) -> dict[str, str]:
        """By tenant."""
        return {"acme": self.gateway.key, "rival": self.gateway.rival_key}


@contextlib.contextmanager
def listening(folder: Path, redis_url: str) -> Iterator[Live]:
    """A gateway on ``folder``: webhooks to itself, wrong keys and many pins are all right there."""
    database = Database(f"sqlite:///{folder / 'empty.db'}")
    database.migrate()
    database.close()
    port = free_port()
    settings = Settings(
        home=folder / "home",
        port=port,
        redis_url=redis_url,
        model=str(write_sizes(folder / "model")),
        served_model_name="base",
        failed_auth_per_minute=10**6,
        max_cpu_loras=10_000,
        max_pinned_adapters_per_tenant=5_000,
        webhook_hosts=(f"http://127.0.0.1:{port}",),
    )
    gateway = composed(settings, ScriptedEngine(), folder / "empty.db")
    with serving(gateway.app, settings) as url:
        yield Live(gateway, url)
    gateway.database.close()

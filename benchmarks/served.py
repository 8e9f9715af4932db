"""A whole server for a benchmark, with tenants and adapters on it."""

import json
import random
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openai import OpenAI

from benchmarks.lora import write_adapter
from benchmarks.streams import Ask, Clients
from tests.servers import RunningServer, start_server
from tests.tiny import SERVED, write_tiny_model
from tunery import Tunery
from tunery_server.config import BUNDLED_MODEL, Settings, default_home

_WORDS = range(1_000, 40_000)
"""Token ids that are words, in the bundled model's vocabulary."""
_IMPORTS_AT_ONCE = 2
"""What a gateway takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The server, and how to ask it."""

    server: RunningServer
    model: Path
    folder: Path

    def clients(self) -> Clients:
        """For one event loop."""
        return Clients(self.server.url, banned=ends(self.model))

    def engine_clients(self) -> Clients:
        """The same, of the engine itself, which wants its own key."""
        return Clients(
            "http://engine", banned=ends(self.model), socket=self._settings.engine_socket
        )

    @property
    def engine_key(self) -> str:
        """The engine's own key."""
        return self._settings.engine_key_file.read_text()

    @property
    def _settings(self) -> Settings:
        return Settings(home=self.server.home)

    def keys(self, count: int) -> list[str]:
        """Of so many new tenants."""
        with OpenAI(
            base_url=f"{self.server.url}/v1", api_key=self.server.key, admin_api_key=self.server.key
        ) as client:
            projects = client.admin.organization.projects
            tenants = [projects.create(name=f"tenant {number}") for number in range(count)]
            accounts = [
                projects.service_accounts.create(one.id, name="benchmark") for one in tenants
            ]
        return [account.api_key.value for account in accounts if account.api_key is not None]

    def adapters(self, keys: Sequence[str]) -> list[str]:
        """A random adapter of its own for each key, by name, in the engine."""
        with ThreadPoolExecutor(_IMPORTS_AT_ONCE) as pool:
            return list(pool.map(self._adapter, keys, range(len(keys))))

    def _adapter(self, key: str, seed: int) -> str:
        folder = write_adapter(self.folder / f"adapter-{seed}", self.model, seed=seed)
        with Tunery(base_url=f"{self.server.url}/v1", api_key=key) as client:
            return client.adapters.upload(folder, suffix=f"random-{seed}").model


@contextmanager
def served(model: Path | None = None, **settings: str) -> Iterator[Served]:
    """``tunery serve`` with the real engine, on data of its own, until the context is left.

    By default it serves the bundled model.
    """
    model = model or default_home() / "models" / BUNDLED_MODEL
    with (
        tempfile.TemporaryDirectory() as folder,
        start_server(Path(folder), model=model, **settings) as server,
    ):
        server.wait_ready()
        yield Served(server=server, model=model, folder=Path(folder) / "adapters")


@contextmanager
def tiny_model() -> Iterator[Path]:
    """A random model of two layers under the bundled model's tokenizer."""
    with tempfile.TemporaryDirectory() as folder:
        write_tiny_model(Path(folder), default_home() / "models" / BUNDLED_MODEL, SERVED)
        yield Path(folder)


def ask(draws: random.Random, *, key: str, model: str, prompt: int, tokens: int) -> Ask:
    """A request with a prompt of ``prompt`` random words: no cache has seen it."""
    words = tuple(draws.choices(_WORDS, k=prompt))
    return Ask(key=key, model=model, prompt=words, tokens=tokens)


def ends(model: Path) -> list[int]:
    """Tokens that end an answer."""
    told = json.loads((model / "generation_config.json").read_text()).get("eos_token_id", [])
    return told if isinstance(told, list) else [told]

"""The engine as the gateway and the worker see it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """A sign of life. ``boot_id`` is new for every engine process."""

    boot_id: str
    adapters: frozenset[str]
    special_tokens: frozenset[str]
    """How the base model's tokeniser spells them."""


class Reply(Protocol):
    """An answer on its way. Errors of the engine were raised before it was handed out."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Bytes as they arrive. Raises EngineUnavailable when the engine goes away."""


class Engine(Protocol):
    """One engine process. Every method raises EngineUnavailable while it does not answer."""

    async def status(self) -> EngineStatus:
        """Who answers, and which adapters it knows."""

    async def load(self, name: str, path: Path) -> None:
        """Make an adapter answer to ``name``; does nothing when it does already.

        Raises EngineRefused when vLLM cannot use the files.
        """

    async def unload(self, name: str) -> None:
        """Forget the adapter and free its slots; does nothing when it is unknown."""

    def forward(self, path: str, body: bytes) -> AbstractAsyncContextManager[Reply]:
        """Send a request. Leaving the context closes the connection, which aborts the request.

        Raises EngineRefused when the engine answers with an error.
        """

    async def metrics(self) -> bytes:
        """The engine's own metrics in Prometheus' text format."""

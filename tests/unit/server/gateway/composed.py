"""The whole gateway as an ASGI app: everything real but the engine and who reads rows."""

import contextlib
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from anthropic import AsyncAnthropic
from fastapi import FastAPI
from openai import AsyncOpenAI

from tests.engines import ScriptedEngine
from tests.peft import write_peft_folder
from tests.rows import an_adapter
from tests.surveys import Surveyor
from tunery_adapters.manifest import Provenance
from tunery_adapters.store import AdapterStore
from tunery_server.config import Settings
from tunery_server.gateway.app import create_app
from tunery_server.gateway.auth import ALL_SCOPES, TENANT_SCOPES, new_key
from tunery_server.records.adapters import AdapterRecords
from tunery_server.records.database import Database
from tunery_server.records.keys import KeyRecords
from tunery_server.records.rows import Adapter


@dataclass(frozen=True)
class Gateway:
    """The app, the engine behind it, and keys of two tenants: ``key`` may administer, too."""

    app: FastAPI
    engine: ScriptedEngine
    settings: Settings
    database: Database
    key: str
    rival_key: str

    def http(self, key: str | None = None) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self.app, raise_app_exceptions=False),
            base_url="http://tunery",
            headers={"Authorization": f"Bearer {key or self.key}"},
        )

    def openai(self, key: str | None = None) -> AsyncOpenAI:
        """The stock client, which refuses an answer that is not as OpenAI's types say."""
        return AsyncOpenAI(
            base_url="http://tunery/v1",
            api_key=key or self.key,
            admin_api_key=key or self.key,
            max_retries=0,
            http_client=self.http(key),
            _strict_response_validation=True,
        )

    def anthropic(self, key: str | None = None) -> AsyncAnthropic:
        """Anthropic's stock client, which sends its key in a header of its own."""
        http = self.http()
        del http.headers["authorization"]
        return AsyncAnthropic(
            base_url="http://tunery",
            api_key=key or self.key,
            max_retries=0,
            http_client=http,
            _strict_response_validation=True,
        )

    def new_key(self, *scopes: str, tenant: str = "acme") -> str:
        secret, key = new_key(tenant, "test", scopes or ALL_SCOPES, time.time())
        KeyRecords(self.database).add(key)
        return secret

    def publish(self, tenant: str = "acme", **values: Any) -> Adapter:
        """A published and registered adapter, as a job leaves it behind."""
        adapter = an_adapter(tenant_id=tenant, **values)
        source = write_peft_folder(self.settings.home / "source")
        AdapterStore(self.settings.home / "adapters").publish(
            source,
            Provenance(
                adapter_id=adapter.adapter_id,
                version=adapter.version,
                model=adapter.model,
                base_model=adapter.base_model,
                tenant_id=tenant,
                created_at=adapter.created_at,
            ),
        )
        AdapterRecords(self.database).add(adapter)
        return adapter

    async def see_engine(self) -> None:
        """What the monitor does twice a second."""
        self.app.state.services.residency.observe(await self.engine.status())

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """With the monitor at work."""
        async with self.app.router.lifespan_context(self.app):
            yield


def composed(
    settings: Settings, engine: ScriptedEngine, migrated: Path, surveyor: Surveyor | None = None
) -> Gateway:
    """A gateway on a copy of the record ``migrated``, with nothing in it but two keys."""
    settings.home.mkdir()
    shutil.copy(migrated, settings.home / "tunery.db")
    database = Database(settings.database)
    secret, key = new_key("acme", "test", ALL_SCOPES, time.time())
    rival_secret, rival_key = new_key("rival", "test", TENANT_SCOPES, time.time())
    for stored in (key, rival_key):
        KeyRecords(database).add(stored)
    return Gateway(
        create_app(settings, engine, surveyor or Surveyor()),
        engine,
        settings,
        database,
        secret,
        rival_secret,
    )

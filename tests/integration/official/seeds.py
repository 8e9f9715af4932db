"""What the client's own tests expect to find, made anew before each test."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import redis
from sqlalchemy import insert

from tests.peft import write_peft_folder
from tests.rows import NOW, an_adapter
from tunery_adapters.manifest import Provenance
from tunery_adapters.store import AdapterStore
from tunery_server.config import Settings
from tunery_server.gateway.auth import TENANT_SCOPES, digest_of
from tunery_server.records import tables
from tunery_server.records.database import Database
from tunery_server.records.keys import KeyRecords
from tunery_server.records.rows import Adapter, ApiKey

from .calls import Call, values
from .expected_rows import CONTENT, TENANT, Row, expected_rows

_KNOWN = ("adapter_id", "version", "model", "base_model", "tenant_id", "created_at")
_SERVED = ("chat.completions.create", "completions", "models", "responses.create")


class Seeds:
    """Rows, the bytes of files and parts, and folders of adapters, for what ``calls`` names."""

    def __init__(self, settings: Settings, database: Database, calls: tuple[Call, ...]) -> None:
        self._settings = settings
        self._database = database
        self._calls = calls
        self._adapters = tuple(self._publish())

    def sow(self, test: str) -> None:
        """Leave nothing but what ``test`` expects; the key stays."""
        url = f"http://127.0.0.1:{self._settings.port}/livez"
        rows = [*expected_rows(self._calls, test, url)]
        rows += [(tables.adapters, adapter) for adapter in self._adapters]
        redis.Redis.from_url(self._settings.redis).flushall()
        self._write(rows)
        for table, row in rows:
            if table is tables.files:
                self._lay("files", row.id)
            if table is tables.upload_parts:
                self._lay(f"uploads/{row.upload_id}", row.sha256)

    def add_key(self, secret: str) -> None:
        """Let the tests' own key in."""
        key = ApiKey(
            id="key-official",
            tenant_id=TENANT,
            name="official",
            digest=digest_of(secret),
            scopes=TENANT_SCOPES,
            created_at=NOW,
        )
        KeyRecords(self._database).add(key)

    def _write(self, rows: list[Row]) -> None:
        with self._database.writing() as connection:
            for table in reversed(tables.metadata.sorted_tables):
                if table is not tables.api_keys:
                    connection.execute(table.delete())
            for table, row in rows:
                connection.execute(insert(table).values(asdict(row)))

    def _lay(self, folder: str, name: str) -> None:
        path = Path(self._settings.home, folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENT)

    def _publish(self) -> Iterator[Adapter]:
        """An adapter for each model that is asked, looked up, shared or deleted."""
        names = {
            *values(self._calls, "model", of=_SERVED),
            *values(self._calls, "fine_tuned_model_checkpoint"),
        }
        source = write_peft_folder(self._settings.home / "source")
        store = AdapterStore(self._settings.home / "adapters")
        for version, model in enumerate(sorted(names), 1):
            adapter = an_adapter(
                model=model, tenant_id=TENANT, adapter_id="ad-official", version=version
            )
            row = asdict(adapter)
            store.publish(source, Provenance(**{name: row[name] for name in _KNOWN}))
            yield adapter

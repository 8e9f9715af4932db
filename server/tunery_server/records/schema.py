"""Which revision of the schema a record has, and which ones this release knows."""

from dataclasses import dataclass

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from tunery_server.records.database import MIGRATIONS, Database


@dataclass(frozen=True, slots=True)
class Schema:
    """``current`` is None for a record without any."""

    current: str | None
    newest: str
    is_known: bool
    """Whether this release has a migration of that name; a newer release's it has not."""


def read_schema(database: Database) -> Schema:
    """Blocking; changes nothing. Raises RecordUnavailable."""
    scripts = ScriptDirectory(str(MIGRATIONS))
    with database.reading() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    return Schema(current, scripts.get_current_head() or "", current is None or current in known)

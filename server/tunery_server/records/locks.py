"""Locks of a transaction, for what has no row to lock. In SQLite a writer is alone anyway."""

from enum import IntEnum

from sqlalchemy import Connection, func, select

_OURS = 0x74756E65
"""Tells our locks from those of others in the same database; any number will do."""


class Lock(IntEnum):
    """What one transaction does at a time."""

    MIGRATE = 1
    ADMINISTER = 2
    """Changes to keys and tenants: of two administrators who end each other one remains."""
    PIN = 3
    """Pins of all tenants share their places."""


def hold(connection: Connection, lock: Lock) -> None:
    """Wait until no other transaction holds it, and hold it until this one ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_OURS, int(lock))))

"""Whole numbers get 64 bits in PostgreSQL, as they have in SQLite."""

from alembic import op
from sqlalchemy import BigInteger, Integer, inspect

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """INTEGER becomes BIGINT."""
    if op.get_context().dialect.name == "sqlite":
        return
    inspector = inspect(op.get_bind())
    for table in inspector.get_table_names():
        for column in inspector.get_columns(table):
            if _is_short(column["type"]):
                op.alter_column(table, column["name"], type_=BigInteger())


def _is_short(type: object) -> bool:
    return isinstance(type, Integer) and not isinstance(type, BigInteger)

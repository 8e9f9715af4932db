"""Tenants and service accounts by name, how much a tenant may keep, and who changed what."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_WORDS = ("tenant_id", "object_id", "key_id", "key_tenant_id", "user", "address", "request_id")
_KNOWN = "SELECT tenant_id, MIN(created_at) AS created_at FROM api_keys GROUP BY tenant_id"
_SET = "SELECT tenant_id FROM tenant_policies WHERE tenant_id NOT IN (SELECT id FROM tenants)"

_TRIGGERS = {
    "sqlite": (
        "CREATE TRIGGER audit_log_stays BEFORE UPDATE ON audit_log "
        "BEGIN SELECT RAISE(ABORT, 'the audit log does not change'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION audit_log_stays() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit log does not change'; END $$",
        "CREATE TRIGGER audit_log_stays BEFORE UPDATE ON audit_log "
        "FOR EACH ROW EXECUTE FUNCTION audit_log_stays()",
    ),
}


def upgrade() -> None:
    """Make ``tenants``, ``service_accounts`` and ``audit_log``; name the tenants that there are."""
    op.create_table(
        "tenants",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("archived_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
    )
    op.create_table(
        "service_accounts",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_accounts")),
    )
    _make_audit_log()
    with op.batch_alter_table("api_keys") as keys:
        keys.add_column(sa.Column("service_account_id", sa.String(), nullable=True))
    with op.batch_alter_table("tenant_policies") as policies:
        policies.add_column(sa.Column("max_files", sa.Integer(), nullable=True))
        policies.add_column(sa.Column("max_file_bytes", sa.BigInteger(), nullable=True))
    for name in ("api_keys", "service_accounts", "audit_log"):
        op.create_index(f"ix_{name}_tenant_created", name, ["tenant_id", "created_at", "id"])
    _name_tenants()


def _make_audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in _WORDS),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index("ix_audit_log_created", "audit_log", ["created_at", "id"])
    for statement in _TRIGGERS.get(op.get_bind().dialect.name, ()):
        op.execute(statement)


def _name_tenants() -> None:
    connection = op.get_bind()
    tenants = sa.table("tenants", *map(sa.column, ("id", "name", "created_at")))
    found = [(row.tenant_id, row.created_at) for row in connection.execute(sa.text(_KNOWN))]
    for tenant_id, created_at in found:
        values = {"id": tenant_id, "name": tenant_id, "created_at": created_at}
        connection.execute(tenants.insert().values(values))
    for tenant_id in connection.execute(sa.text(_SET)).scalars().all():
        values = {"id": tenant_id, "name": tenant_id, "created_at": time.time()}
        connection.execute(tenants.insert().values(values))

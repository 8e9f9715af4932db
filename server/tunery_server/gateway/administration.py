"""Composes what administrators use."""

import time
from dataclasses import dataclass

from tunery_server.config import Settings
from tunery_server.records.audit import AuditRecords
from tunery_server.records.database import Database
from tunery_server.records.keys import KeyRecords
from tunery_server.records.projects import ProjectRecords
from tunery_server.records.service_accounts import ServiceAccountRecords
from tunery_server.records.tenants import TenantPolicies, default_policy
from tunery_server.tenants.accounts import AccountService
from tunery_server.tenants.administrators import AdministratorService
from tunery_server.tenants.audit_log import AuditLog
from tunery_server.tenants.projects import ProjectService


@dataclass(frozen=True, slots=True)
class Administration:
    """Tenants, keys, and who changed what."""

    projects: ProjectService
    accounts: AccountService
    administrators: AdministratorService
    audit_log: AuditLog


def administration(settings: Settings, database: Database) -> Administration:
    """All of it, on one record."""
    projects = ProjectService(
        records=ProjectRecords(database),
        policies=TenantPolicies(database, default_policy(settings)),
        clock=time.time,
    )
    keys = KeyRecords(database)
    return Administration(
        projects=projects,
        accounts=AccountService(
            projects=projects,
            accounts=ServiceAccountRecords(database),
            keys=keys,
            clock=time.time,
        ),
        administrators=AdministratorService(keys=keys, clock=time.time),
        audit_log=AuditLog(
            records=AuditRecords(database),
            kept_days=settings.audit_retention_days,
            clock=time.time,
        ),
    )

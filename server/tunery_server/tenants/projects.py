"""An administrator's wishes on tenants, which OpenAI's wire calls projects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tunery_server.errors import NotFound
from tunery_server.ids import new_id
from tunery_server.records.idempotency import Sending
from tunery_server.records.projects import ProjectRecords
from tunery_server.records.rows import Page
from tunery_server.records.tenant_rows import Tenant, TenantPolicy
from tunery_server.records.tenants import TenantPolicies


@dataclass(frozen=True, slots=True)
class Project:
    """A tenant, and what it may have."""

    tenant: Tenant
    policy: TenantPolicy

    @property
    def id(self) -> str:
        """The tenant's."""
        return self.tenant.id


class ProjectService:
    """All tenants. Blocking. ``policy`` is fields of :class:`TenantPolicy` and its limits."""

    def __init__(
        self,
        *,
        records: ProjectRecords,
        policies: TenantPolicies,
        clock: Callable[[], float],
    ) -> None:
        self._records = records
        self._policies = policies
        self._clock = clock

    def create(
        self, name: str, policy: Mapping[str, Any], *, asked_by: str, sending: Sending
    ) -> Project:
        """Make a project; a repeat of a request (``sending``) gets the one that it made before.

        ``asked_by`` is the tenant whose key asks.
        """
        now, content = self._clock(), {"name": name, **policy}
        tenant = Tenant(id=new_id("proj_"), name=name, created_at=now)
        submission = sending.of("organization.projects", content, tenant_id=asked_by, now=now)
        return self.get(self._records.add(tenant, policy, submission))

    def get(self, project_id: str) -> Project:
        """The project, archived or not. Raises NotFound."""
        return self._found(self._records.get(project_id), project_id)

    def list(self, *, archived: bool, after: str | None, limit: int) -> Page[Project]:
        """Newest first. Raises InvalidRequest when ``after`` names no project."""
        page = self._records.list(archived=archived, after=after, limit=limit)
        return Page(tuple(map(self._project, page.items)), page.has_more)

    def update(self, project_id: str, name: str | None, policy: Mapping[str, Any]) -> Project:
        """Set what is given and leave the rest. Raises NotFound."""
        changed = self._records.change(project_id, name=name, policy=policy)
        return self._found(changed, project_id)

    def archive(self, project_id: str) -> Project:
        """Let its keys open nothing, and start nothing of it; what it has stays.

        Raises NotFound, and InvalidRequest for the project of the key that asks.
        """
        return self._found(self._records.archive(project_id, now=self._clock()), project_id)

    def _found(self, tenant: Tenant | None, project_id: str) -> Project:
        if tenant is None:
            raise NotFound(f"No project with id {project_id[:200]!r}.", param="project_id")
        return self._project(tenant)

    def _project(self, tenant: Tenant) -> Project:
        return Project(tenant, self._policies.of(tenant.id))

"""Letting other tenants use an adapter, and taking that back."""

from collections.abc import Callable, Sequence
from typing import Protocol

from tunery_server.errors import NotFound
from tunery_server.ids import new_id
from tunery_server.records.rows import Page, Permission
from tunery_server.serving.catalogue import Catalogue


class PermissionRegistry(Protocol):
    """The record of permissions."""

    def add(self, tenant_id: str, wanted: Sequence[Permission]) -> tuple[Permission, ...]:
        """Store those that are new; the permissions that stand."""

    def list(
        self,
        model: str,
        *,
        project_id: str | None,
        after: str | None,
        limit: int,
        ascending: bool,
    ) -> Page[Permission]:
        """A page; InvalidRequest when ``after`` is not in the list."""

    def delete(self, tenant_id: str, model: str, permission_id: str) -> bool:
        """True when there was such a permission."""


class Permissions:
    """Permissions on one tenant's own adapters. A project is a tenant. Blocking.

    Every method raises NotFound for an adapter that is not this tenant's.
    """

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        permissions: PermissionRegistry,
        clock: Callable[[], float],
    ) -> None:
        self._catalogue = catalogue
        self._permissions = permissions
        self._clock = clock

    def create(
        self, tenant_id: str, model: str, project_ids: Sequence[str]
    ) -> tuple[Permission, ...]:
        """Let these projects use the adapter; one that may already keeps its permission."""
        adapter = self._catalogue.adapter(tenant_id, model)
        now = self._clock()
        return self._permissions.add(
            tenant_id,
            [
                Permission(
                    id=new_id("cp_"), model=adapter.model, project_id=project_id, created_at=now
                )
                for project_id in dict.fromkeys(project_ids)
            ],
        )

    def list(
        self,
        tenant_id: str,
        model: str,
        *,
        project_id: str | None,
        after: str | None,
        limit: int,
        ascending: bool,
    ) -> Page[Permission]:
        """Who may use the adapter. Raises InvalidRequest when ``after`` names no permission."""
        adapter = self._catalogue.adapter(tenant_id, model)
        return self._permissions.list(
            adapter.model, project_id=project_id, after=after, limit=limit, ascending=ascending
        )

    def delete(self, tenant_id: str, model: str, permission_id: str) -> None:
        """Take a permission back: the project's next request finds no such model."""
        adapter = self._catalogue.adapter(tenant_id, model)
        if not self._permissions.delete(tenant_id, adapter.model, permission_id):
            raise NotFound(f"No permission with id {permission_id[:200]!r}.", param="permission_id")

"""``/v1/fine_tuning/checkpoints/{model}/permissions``."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from tunery_server.gateway.protocol.base import Answer, Deleted, ListedBetween, PlainText, Request
from tunery_server.records.rows import Permission

_ProjectId = Annotated[PlainText, StringConstraints(min_length=1, max_length=128)]


class CreatePermissions(Request):
    """Which projects, which are tenants here, may use the adapter."""

    project_ids: list[_ProjectId] = Field(min_length=1, max_length=100)


class PermissionObject(Answer):
    """A permission."""

    id: str
    object: Literal["checkpoint.permission"] = "checkpoint.permission"
    created_at: int
    project_id: str

    @classmethod
    def of(cls, permission: Permission) -> "PermissionObject":
        """From its record."""
        return cls(
            id=permission.id,
            created_at=int(permission.created_at),
            project_id=permission.project_id,
        )


class PermissionDeleted(Deleted):
    """The answer to a DELETE."""

    object: Literal["checkpoint.permission"] = "checkpoint.permission"


class PermissionList(ListedBetween[PermissionObject]):
    """A page of permissions."""

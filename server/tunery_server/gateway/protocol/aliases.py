"""``/v1/aliases``."""

from typing import Any, Literal

from pydantic import Field, model_validator

from tunery_server.gateway.protocol.base import Answer, Deleted, Listed, PlainText, Request
from tunery_server.records.rows import AliasRevision
from tunery_server.serving.aliases import NAME, Routes
from tunery_server.serving.gate import Gate

ModelName = PlainText


class CanaryRequest(Request):
    """Who else answers, and how often."""

    model: ModelName = Field(min_length=1, max_length=512)
    weight: float = Field(gt=0, lt=1)
    """The share of requests, or of users where requests name them."""


class GateRequest(Request):
    """What a new ``model`` has to be better in before the alias moves to it."""

    file_id: str | None = Field(default=None, min_length=1, max_length=128)
    """Held-out rows, on which the engine measures both. Without it, ``metric`` is compared."""
    rows: int = Field(default=50, ge=1, le=200)
    metric: str = Field(default="valid_loss", pattern=r"^[a-z_]{1,64}$")
    """Of those that training recorded; both have to have been measured on the same file."""
    margin: float = Field(default=0.0, ge=0, le=1e6)
    """By how much."""

    def gate(self) -> Gate:
        """For the service."""
        return Gate(self.file_id, self.rows, self.metric, self.margin)


class AliasRoutes(Request):
    """Where an alias leads."""

    model: ModelName = Field(min_length=1, max_length=512)
    canary: CanaryRequest | None = None
    shadow: ModelName | None = Field(default=None, min_length=1, max_length=512)

    def routes(self) -> Routes:
        """For the service."""
        return Routes(
            model=self.model,
            canary=self.canary.model if self.canary else None,
            canary_weight=self.canary.weight if self.canary else 0.0,
            shadow=self.shadow,
        )

    @model_validator(mode="after")
    def _differ(self) -> "AliasRoutes":
        named = [self.model, self.shadow, self.canary.model if self.canary else None]
        named = [name for name in named if name is not None]
        if len(set(named)) < len(named):
            raise ValueError("model, canary and shadow have to differ")
        return self


class CreateAlias(AliasRoutes):
    """A new alias."""

    name: str = Field(pattern=f"^{NAME.pattern}$")


class MoveAlias(AliasRoutes):
    """Where the alias leads from now on; what is left out is gone."""

    revision: int | None = Field(default=None, ge=1)
    """The revision that is to be replaced: another one refuses the move."""
    gate: GateRequest | None = None


class RollBackAlias(Request):
    """Which revision to go back to; the one before, unless given."""

    revision: int | None = Field(default=None, ge=1)


class Canary(Answer):
    """Who else answers, and how often."""

    model: str
    weight: float


class AliasObject(Answer):
    """What an alias means, or meant in one of its revisions."""

    id: str
    object: Literal["alias"] = "alias"
    revision: int
    model: str | None
    canary: Canary | None
    shadow: str | None
    created_at: int
    moved_by: str
    reason: str
    comparison: dict[str, Any] | None

    @classmethod
    def of(cls, alias: AliasRevision) -> "AliasObject":
        """From its record."""
        canary = Canary(model=alias.canary, weight=alias.canary_weight) if alias.canary else None
        return cls(
            id=alias.name,
            revision=alias.revision,
            model=alias.model,
            canary=canary,
            shadow=alias.shadow,
            created_at=int(alias.created_at),
            moved_by=alias.key_id,
            reason=alias.reason,
            comparison=alias.comparison,
        )


class AliasList(Listed[AliasObject]):
    """A page of aliases, or of one alias's revisions."""


class AliasDeleted(Deleted):
    """The answer to a DELETE."""

    object: Literal["alias"] = "alias"

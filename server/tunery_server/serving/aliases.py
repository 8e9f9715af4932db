"""Names that a tenant gives to its adapters, and moves from one to the next."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from tunery_server.errors import InvalidRequest, NotFound
from tunery_server.records.rows import AliasRevision, Page
from tunery_server.serving.catalogue import Catalogue

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
"""No colon, so that no alias looks like an adapter's name."""


class AliasRegistry(Protocol):
    """The record of aliases."""

    def add(self, revision: AliasRevision) -> bool:
        """Store the next revision. False when there is one by that number already."""

    def newest(self, tenant_id: str, name: str) -> AliasRevision | None:
        """What the name means, or that it was deleted; None for one that never was."""

    def list(self, tenant_id: str, *, after: str | None, limit: int) -> Page[AliasRevision]:
        """What each name means; InvalidRequest when ``after`` names none."""

    def history(
        self, tenant_id: str, name: str, *, before: int | None, limit: int
    ) -> tuple[AliasRevision, ...]:
        """Revisions of one name, newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """Where an alias leads."""

    model: str
    canary: str | None = None
    canary_weight: float = 0.0
    shadow: str | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """Everything that has to be there."""
        return tuple(model for model in (self.model, self.canary, self.shadow) if model)


@dataclass(frozen=True, slots=True)
class Mover:
    """Who moves an alias."""

    tenant_id: str
    key_id: str


class Aliases:
    """Aliases of one tenant at a time. Blocking."""

    def __init__(
        self, *, aliases: AliasRegistry, catalogue: Catalogue, clock: Callable[[], float]
    ) -> None:
        self._aliases = aliases
        self._catalogue = catalogue
        self._clock = clock

    def create(self, mover: Mover, name: str, routes: Routes) -> AliasRevision:
        """Give a name. Raises InvalidRequest for one that is taken, NotFound for its models."""
        if not NAME.fullmatch(name) or name == self._catalogue.base_model:
            raise InvalidRequest(
                "name: up to 64 of a-z, 0-9, '.', '_' and '-', and not the base model's.",
                param="name",
            )
        newest = self._aliases.newest(mover.tenant_id, name)
        if newest is not None and newest.model is not None:
            raise InvalidRequest(f"There is an alias {name!r} already: move it.", param="name")
        return self._put(mover, name, newest, routes, "created")

    def get(self, tenant_id: str, name: str) -> AliasRevision:
        """What a name means. Raises NotFound."""
        newest = self._aliases.newest(tenant_id, name)
        if newest is None or newest.model is None:
            raise NotFound(f"There is no alias {name[:64]!r}.", param="name")
        return newest

    def list(self, tenant_id: str, *, after: str | None, limit: int) -> Page[AliasRevision]:
        """Last moved first. Raises InvalidRequest when ``after`` names none."""
        return self._aliases.list(tenant_id, after=after, limit=limit)

    def history(
        self, tenant_id: str, name: str, *, before: int | None, limit: int
    ) -> Page[AliasRevision]:
        """Newest first, of a deleted alias, too. Raises NotFound for one that never was."""
        found = self._aliases.history(tenant_id, name, before=before, limit=limit + 1)
        if not found and before is None:
            raise NotFound(f"There is no alias {name[:64]!r}.", param="name")
        return Page(found[:limit], has_more=len(found) > limit)

    def move(
        self,
        mover: Mover,
        standing: AliasRevision,
        routes: Routes,
        *,
        reason: str = "moved",
        comparison: dict[str, Any] | None = None,
    ) -> AliasRevision:
        """Let the name lead elsewhere, unless it was moved since ``standing``.

        Raises InvalidRequest then, and NotFound for a model that is not there.
        """
        return self._put(mover, standing.name, standing, routes, reason, comparison)

    def roll_back(self, mover: Mover, name: str, to: int | None) -> AliasRevision:
        """Let the name lead where it led in revision ``to``, or in the one before this one.

        Raises InvalidRequest when it led nowhere then, and NotFound.
        """
        standing = self.get(mover.tenant_id, name)
        wanted = standing.revision - 1 if to is None else to
        [*found] = self._aliases.history(mover.tenant_id, name, before=wanted + 1, limit=1)
        if not found or found[0].revision != wanted or found[0].model is None:
            raise InvalidRequest(
                f"There is no revision {wanted} of {name!r} to go back to.", param="revision"
            )
        return self._put(
            mover, name, standing, routes_of(found[0]), f"rolled back to revision {wanted}"
        )

    def delete(self, mover: Mover, name: str) -> None:
        """Take the name away; its history stays. Raises NotFound."""
        standing = self.get(mover.tenant_id, name)
        gone = replace(
            standing,
            revision=standing.revision + 1,
            model=None,
            canary=None,
            canary_weight=0.0,
            shadow=None,
            created_at=self._clock(),
            key_id=mover.key_id,
            reason="deleted",
            comparison=None,
        )
        self._add(gone)

    def _put(
        self,
        mover: Mover,
        name: str,
        before: AliasRevision | None,
        routes: Routes,
        reason: str,
        comparison: dict[str, Any] | None = None,
    ) -> AliasRevision:
        for model in routes.models:
            if model != self._catalogue.base_model:
                self._catalogue.usable(mover.tenant_id, model)
        revision = AliasRevision(
            tenant_id=mover.tenant_id,
            name=name,
            revision=before.revision + 1 if before else 1,
            model=routes.model,
            canary=routes.canary,
            canary_weight=routes.canary_weight,
            shadow=routes.shadow,
            created_at=self._clock(),
            key_id=mover.key_id,
            reason=reason,
            comparison=comparison,
        )
        self._add(revision)
        return revision

    def _add(self, revision: AliasRevision) -> None:
        if not self._aliases.add(revision):
            raise InvalidRequest(
                f"Somebody else moved {revision.name!r} meanwhile. Look at it and try again.",
                code="alias_moved",
            )


def routes_of(revision: AliasRevision) -> Routes:
    """Where a revision leads that is not a deletion."""
    if revision.model is None:
        raise ValueError("a deleted alias leads nowhere")
    return Routes(
        model=revision.model,
        canary=revision.canary,
        canary_weight=revision.canary_weight,
        shadow=revision.shadow,
    )

"""What two tenants have, as plain dicts say it; nothing here knows how a server does it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

WAITING = ("queued", "paused")
"""States of a job that no worker has."""
ENDED = ("succeeded", "failed", "cancelled")


@dataclass
class FileModel:
    content: bytes
    purpose: str


@dataclass
class JobModel:
    status: str
    training_file: str
    metadata: dict[str, str] | None
    fine_tuned_model: str | None = None


@dataclass(frozen=True)
class Routes:
    """Where an alias leads in one of its revisions."""

    model: str
    canary: str | None = None
    shadow: str | None = None

    @property
    def models(self) -> set[str]:
        return {model for model in (self.model, self.canary, self.shadow) if model}

    def body(self) -> dict[str, Any]:
        canary = {"model": self.canary, "weight": 0.5} if self.canary else None
        return {"model": self.model, "canary": canary, "shadow": self.shadow}


@dataclass
class TenantModel:
    """One tenant's objects in order of creation, and what was deleted."""

    name: str
    files: dict[str, FileModel] = field(default_factory=dict)
    jobs: dict[str, JobModel] = field(default_factory=dict)
    adapters: dict[str, str] = field(default_factory=dict)
    """Ids by model name."""
    aliases: dict[str, list[Routes | None]] = field(default_factory=dict)
    """Every revision; None is one that deleted the name."""
    moved: list[str] = field(default_factory=list)
    """Names in the order of their last move."""
    borrowed: dict[str, str] = field(default_factory=dict)
    """The other's adapters that this tenant may use: permissions by model name."""
    sent: dict[str, tuple[FileModel, str]] = field(default_factory=dict)
    """What an Idempotency-Key stands for, and what came of it."""
    gone: dict[str, list[str]] = field(default_factory=lambda: {"file": [], "adapter": []})

    @property
    def usable(self) -> list[str]:
        """What a request may name."""
        return ["base", *self.adapters, *self.borrowed]

    @property
    def standing(self) -> dict[str, Routes]:
        """What each name means that was not deleted."""
        newest = {name: revisions[-1] for name, revisions in self.aliases.items()}
        return {name: routes for name, routes in newest.items() if routes is not None}

    def reads(self, file_id: str) -> bool:
        """Whether a job that has not ended wants the file."""
        jobs = self.jobs.values()
        return any(job.training_file == file_id and job.status not in ENDED for job in jobs)

    def leads_to(self, model: str) -> bool:
        return any(model in routes.models for routes in self.standing.values())

    def answers(self, name: str) -> set[str]:
        """Who may answer a request for an alias; nobody where its model is gone."""
        routes = self.standing[name]
        if routes.canary in self.usable:
            certain = {routes.model} & set(self.usable)
            return certain | {routes.canary} if certain else set()
        return {routes.model} & set(self.usable)

    def put(self, name: str, routes: Routes | None) -> None:
        """The next revision of an alias."""
        self.aliases.setdefault(name, []).append(routes)
        self.moved = [other for other in self.moved if other != name] + [name]

    def objects(self) -> Iterator[tuple[str, str]]:
        """Everything that is this tenant's alone, by kind."""
        kinds = {"file": self.files, "job": self.jobs, "adapter": self.adapters}
        yield from ((kind, each) for kind, held in kinds.items() for each in held)
        yield from (("alias", name) for name in self.standing)

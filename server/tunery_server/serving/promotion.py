"""Moving an alias, if need be only to something better."""

import asyncio

from tunery_server.errors import InvalidRequest
from tunery_server.records.rows import AliasRevision
from tunery_server.serving.aliases import Aliases, Mover, Routes, routes_of
from tunery_server.serving.gate import Comparison, Gate, Gatekeeper


class Promotion:
    """Moves one alias at a time; a move that its gate refuses is in the history, too."""

    def __init__(self, aliases: Aliases, gatekeeper: Gatekeeper) -> None:
        self._aliases = aliases
        self._gatekeeper = gatekeeper

    async def move(
        self, mover: Mover, name: str, routes: Routes, revision: int | None, gate: Gate | None
    ) -> AliasRevision:
        """Let the name lead elsewhere.

        Raises NotFound, InvalidRequest when it is not at ``revision`` any more, and InvalidRequest
        with the code ``gate_closed`` when the new model is not better than the one before.
        """
        standing = await asyncio.to_thread(self._aliases.get, mover.tenant_id, name)
        if revision is not None and standing.revision != revision:
            raise InvalidRequest(
                f"{name!r} is at revision {standing.revision}, not {revision}.",
                code="alias_moved",
                param="revision",
            )
        comparison = await self._compared(mover, standing, routes, gate)
        if comparison is not None and not comparison.passed:
            await asyncio.to_thread(self._stay, mover, standing, comparison)
            raise InvalidRequest(_closed(comparison), code="gate_closed", param="gate")
        return await asyncio.to_thread(
            self._aliases.move,
            mover,
            standing,
            routes,
            comparison=comparison.shown() if comparison else None,
        )

    async def _compared(
        self, mover: Mover, standing: AliasRevision, routes: Routes, gate: Gate | None
    ) -> Comparison | None:
        if gate is None or standing.model is None or routes.model == standing.model:
            return None
        return await self._gatekeeper.compare(mover.tenant_id, gate, standing.model, routes.model)

    def _stay(self, mover: Mover, standing: AliasRevision, comparison: Comparison) -> None:
        self._aliases.move(
            mover,
            standing,
            routes_of(standing),
            reason=f"stayed: {_closed(comparison)}",
            comparison=comparison.shown(),
        )


def _closed(comparison: Comparison) -> str:
    return (
        f"{comparison.metric} of {comparison.candidate_model} is {comparison.candidate:.4f}, of "
        f"{comparison.current_model} {comparison.current:.4f}: not better by {comparison.margin:g}."
    )

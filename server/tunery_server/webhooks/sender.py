"""Takes what is due out of the record and sends it, again and again until it arrives.

Everything that is to be known after a crash is in the record. Several senders may run at once.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable

from tunery_server.records.outbox import Outbox
from tunery_server.records.rows import Delivery
from tunery_server.records.webhooks import EndpointRecords
from tunery_server.telemetry.logging import get_logger
from tunery_server.telemetry.metrics import WEBHOOK_ATTEMPTS
from tunery_server.webhooks.poster import TIMEOUT_S, Answer, Outcome, Poster
from tunery_server.webhooks.signing import message_of

log = get_logger(__name__)

CLAIM_S = 3 * TIMEOUT_S
"""A delivery whose sender died is sent by another one after this."""
KEPT_S = 7 * 86_400.0
"""How long after an event its deliveries can be looked up."""
TRIED_S = 3 * 86_400.0
"""How long after an event it is still tried."""
AT_ONCE = 32
_POLL_S = 1.0
_SWEEP_EVERY_S = 3_600.0
_FIRST_DELAY_S, _GROWTH, _LONGEST_DELAY_S = 5.0, 6.0, 6 * 3_600.0
_JITTER = 0.2


def delay_s(attempts: int, chance: float) -> float:
    """Wait after that many failures: 5 s, 30 s, 3 min … up to 6 h, each give or take a fifth.

    ``chance`` is from 0 to 1; it keeps those that failed together from coming back together.
    """
    delay = min(_LONGEST_DELAY_S, _FIRST_DELAY_S * _GROWTH ** min(attempts - 1, 10))
    return delay * (1 - _JITTER + 2 * _JITTER * chance)


class Sender:
    """Sends the deliveries of all tenants; to one endpoint, one at a time."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        endpoints: EndpointRecords,
        poster: Poster,
        clock: Callable[[], float],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = outbox
        self._endpoints = endpoints
        self._poster = poster
        self._clock = clock
        self._chance = chance
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._ended = asyncio.Event()
        self._swept_at = 0.0

    async def run(self) -> None:
        """Send until cancelled; what is on its way then is sent anew by the next sender."""
        try:
            while True:
                self._ended.clear()
                try:
                    await self.look()
                except Exception:
                    log.exception("looking for webhooks failed; it is tried again")
                await self._pause()
        finally:
            for task in self._busy.values():
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def look(self) -> None:
        """Start sending what is due, as far as there is room; forget what is long over."""
        await self._sweep()
        now, room = self._clock(), AT_ONCE - len(self._busy)
        if room == 0:
            return
        for delivery in await asyncio.to_thread(
            self._outbox.claim,
            now=now,
            until=now + CLAIM_S,
            limit=room,
            passing_over=frozenset(self._busy),
        ):
            self._start(delivery)

    async def settled(self) -> None:
        """Wait for everything that is on its way."""
        await asyncio.gather(*self._busy.values())

    async def _pause(self) -> None:
        """Until one is through, for its endpoint may have another waiting, or for a moment."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_POLL_S):
                await self._ended.wait()

    def _start(self, delivery: Delivery) -> None:
        endpoint_id = delivery.endpoint.id

        def end(_: asyncio.Task[None]) -> None:
            del self._busy[endpoint_id]
            self._ended.set()

        self._busy[endpoint_id] = asyncio.create_task(self._send(delivery))
        self._busy[endpoint_id].add_done_callback(end)

    async def _send(self, delivery: Delivery) -> None:
        try:
            message = message_of(delivery, self._clock())
            answer = await self._poster.post(delivery.endpoint.url, message)
            await asyncio.to_thread(self._record, delivery, answer)
        except Exception:
            log.exception("webhook failed for a fault of the server", event_id=delivery.event_id)

    def _record(self, delivery: Delivery, answer: Answer) -> None:
        WEBHOOK_ATTEMPTS.labels(answer.outcome).inc()
        _log(delivery, answer)
        now = self._clock()
        due_at = now + delay_s(delivery.attempts, self._chance())
        if answer.outcome is Outcome.GONE:
            self._endpoints.disable(delivery.endpoint.id, now=now)
        if answer.outcome in {Outcome.DELIVERED, Outcome.GONE}:
            self._outbox.settle(delivery, answer.outcome)
        elif due_at > delivery.created_at + TRIED_S:
            log.warning("webhook given up", event_id=delivery.event_id)
            self._outbox.settle(delivery, answer.outcome)
        else:
            self._outbox.postpone(delivery, answer.outcome, due_at=due_at)

    async def _sweep(self) -> None:
        now = self._clock()
        if now >= self._swept_at + _SWEEP_EVERY_S:
            await asyncio.to_thread(self._outbox.sweep, before=now - KEPT_S)
            self._swept_at = now


def _log(delivery: Delivery, answer: Answer) -> None:
    """Neither URL nor host: an endpoint's id says whose it is, and the record has the rest."""
    log.info(
        "webhook sent",
        event_id=delivery.event_id,
        endpoint_id=delivery.endpoint.id,
        attempt=delivery.attempts,
        outcome=answer.outcome.value,
        status=answer.status,
    )

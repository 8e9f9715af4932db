"""Counts inference requests for the tenant, the model and the alias that each is of."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from tunery_server.errors import TuneryError
from tunery_server.serving.resolver import Route
from tunery_server.serving.usage import Usage
from tunery_server.telemetry import families
from tunery_server.telemetry.busiest import Busiest
from tunery_server.telemetry.histogram import Histogram
from tunery_server.telemetry.tally import AdapterTally, AliasTally, Tally

_ANSWERED, _LEFT, _BROKEN = "2xx", "499", "5xx"


class Sight:
    """What is seen of one request while it goes on, to be counted at its end."""

    def __init__(self, tenant_id: str, timer: Callable[[], float]) -> None:
        self.tenant_id = tenant_id
        self.route: Route | None = None
        self.role: str | None = None
        """``primary`` beside a shadow, ``shadow``, or None where there is none."""
        self.answered = False
        self.usage: Usage | None = None
        self.queue_wait_s: float | None = None
        self.time_to_first_token_s: float | None = None
        self.engine_s = 0.0
        self.gaps: Histogram | None = None
        self._timer = timer
        self._began = timer()
        self._sent = self._began
        self._last = self._began
        self._tokens = 0

    def sent(self) -> None:
        """The engine has the request from here on."""
        self._sent = self._timer()

    def chunk(self, tokens: int) -> None:
        """A chunk of a stream came, and with it the answer has so many tokens."""
        now = self._timer()
        if self.gaps is None:
            self.gaps = Histogram()
            self.time_to_first_token_s = now - self._began
        if tokens > self._tokens:
            if self._tokens:
                self.gaps.observe(
                    (now - self._last) / (tokens - self._tokens), tokens - self._tokens
                )
            self._tokens, self._last = tokens, now

    def took(self, usage: Usage) -> None:
        """The engine has counted: all of an answer, or as much of it as came."""
        self.usage = usage
        self.engine_s = self._timer() - self._sent


class Traffic(Collector):
    """By tenant, by model and by alias, each for the ``size`` busiest and for all others.

    ``status_of`` says which HTTP status an error becomes. For one thread, in which nothing waits;
    another one may collect.
    """

    def __init__(
        self,
        size: int,
        *,
        status_of: Callable[[TuneryError], int],
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.tenants = Busiest(size, Tally, labels=("tenant",), timer=timer)
        self.adapters = Busiest(size, AdapterTally, labels=("adapter",), timer=timer)
        self.aliases = Busiest(size, AliasTally, labels=("tenant", "alias"), timer=timer)
        self._status_of = status_of
        self._timer = timer

    @contextmanager
    def seen(self, tenant_id: str) -> Iterator[Sight]:
        """Count a request of a tenant, however it ends."""
        sight = Sight(tenant_id, self._timer)
        status = _ANSWERED
        try:
            yield sight
        except TuneryError as error:
            status = f"{self._status_of(error) // 100}xx"
            raise
        except (GeneratorExit, asyncio.CancelledError):
            status = _ANSWERED if sight.answered else _LEFT
            raise
        except BaseException:
            status = _BROKEN
            raise
        finally:
            self._count(sight, status)

    def collect(self) -> Iterable[Metric]:
        """The metrics as they are at this moment."""
        yield from families.of_requests("tenant", self.tenants)
        yield from families.of_requests("adapter", self.adapters)
        yield from families.of_loads(self.adapters)
        yield from families.of_aliases(self.aliases)

    def _count(self, sight: Sight, status: str) -> None:
        _add(self.tenants.of((sight.tenant_id,)), sight, status)
        if sight.route is None:
            return
        _add(self.adapters.of((sight.route.target.name,)), sight, status)
        if sight.route.alias:
            _compare(self.aliases.of((sight.tenant_id, sight.route.alias)), sight, status)


def _add(tally: Tally, sight: Sight, status: str) -> None:
    tally.requests[status,] += 1
    if sight.queue_wait_s is not None:
        tally.queue_wait.observe(sight.queue_wait_s)
    if sight.time_to_first_token_s is not None:
        tally.time_to_first_token.observe(sight.time_to_first_token_s)
    if sight.gaps is not None:
        tally.inter_token_latency.add(sight.gaps)
    if sight.usage is not None:
        tally.tokens["prompt",] += sight.usage.prompt_tokens
        tally.tokens["cached",] += sight.usage.cached_tokens
        tally.tokens["completion",] += sight.usage.completion_tokens


def _compare(tally: AliasTally, sight: Sight, status: str) -> None:
    assert sight.route is not None  # noqa: S101 - the caller looked
    tally.requests[sight.route.arm, status] += 1
    if sight.role is not None and sight.usage is not None:
        tally.durations.setdefault(sight.role, Histogram()).observe(sight.engine_s)
        tally.completion_tokens[sight.role,] += sight.usage.completion_tokens

"""A bounded number of streams that stay open, each tenant's and all together."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tunery_server.errors import Overloaded, RateLimited
from tunery_server.telemetry import metrics

_RETRY_AFTER_S = 5


class Watchers:
    """Counts who watches jobs through this process."""

    def __init__(self, *, limit: int, per_tenant: int) -> None:
        self._limit = limit
        self._per_tenant = per_tenant
        self._open: Counter[str] = Counter()

    @contextmanager
    def place(self, tenant_id: str) -> Iterator[None]:
        """Hold one open. Raises RateLimited when the tenant has its share, else Overloaded."""
        if self._open[tenant_id] >= self._per_tenant:
            raise RateLimited(
                f"This tenant watches {self._per_tenant} jobs here already; close a stream.",
                retry_after_s=_RETRY_AFTER_S,
            )
        if self._open.total() >= self._limit:
            raise Overloaded(
                "As many jobs are watched as this server allows.", retry_after_s=_RETRY_AFTER_S
            )
        self._open[tenant_id] += 1
        try:
            with metrics.JOB_WATCHERS.track_inprogress():
                yield
        finally:
            self._open[tenant_id] -= 1
            if not self._open[tenant_id]:
                del self._open[tenant_id]

"""Which adapters the engine holds, as one scrape finds them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from tunery_server.telemetry import families
from tunery_server.telemetry.busiest import Busiest
from tunery_server.telemetry.tally import AdapterTally


@dataclass(frozen=True, slots=True, eq=False)
class Tiers(Collector):
    """``held`` has the adapters' names by tier; ``adapters`` says which have labels."""

    adapters: Busiest[AdapterTally]
    held: Mapping[str, Collection[str]]

    def collect(self) -> Iterable[Metric]:
        """One gauge."""
        return families.of_tiers(self.adapters, self.held)

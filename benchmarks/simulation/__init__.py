"""Routing and residency of adapters over many engines: ``python -m benchmarks.simulation``."""

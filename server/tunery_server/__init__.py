"""Tunery's server: a gateway, an engine, a worker, and what supervises them on one machine.

``docs/architecture.md`` walks one chat request, one fine-tuning job and one adapter through these
packages. Layers, top to bottom::

    cli
    supervisor
    gateway | worker
    serving | jobs | webhooks
    queue | files | engine | records
    processes
    telemetry
    config
    errors
"""

__version__ = "0.1.0"

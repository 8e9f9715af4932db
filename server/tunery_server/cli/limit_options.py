"""Options that set the limits of a key or a tenant, and how limits are shown."""

from dataclasses import asdict
from typing import Annotated

import typer

from tunery_server.limits.contract import Limits

RequestsPerMinute = Annotated[
    int | None, typer.Option(min=0, help="Inference requests; 0 is no bound.")
]
TokensPerMinute = Annotated[
    int | None, typer.Option(min=0, help="Tokens of prompts and answers; 0 is no bound.")
]
ConcurrentRequests = Annotated[
    int | None, typer.Option(min=0, help="Inference requests at once; 0 is no bound.")
]


def described(limits: Limits) -> str:
    """One line: every bound that there is."""
    bounds = [f"{name} {value}" for name, value in asdict(limits).items() if value]
    return ", ".join(bounds) or "no limits"

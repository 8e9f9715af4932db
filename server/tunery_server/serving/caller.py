"""For whom a request is answered."""

from collections.abc import Callable
from dataclasses import dataclass

from tunery_server.limits.contract import Standing, Subject


def _ignored(_: Standing) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Caller:
    """A tenant, and the key that it used. A batch's lines have no key and no limits."""

    tenant_id: str
    key_id: str = ""
    subjects: tuple[Subject, ...] = ()
    told: Callable[[Standing], None] = _ignored
    """Called once with what is left of its limits, before the answer begins."""

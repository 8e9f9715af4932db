from collections.abc import Iterator

from tunery_server.errors import (
    ConfigError,
    EngineRefused,
    EngineUnavailable,
    LeaseLost,
    LimitsUnavailable,
    QuotaExceeded,
    TuneryError,
)
from tunery_server.gateway.error_handlers import STATUSES

NEVER_ON_THE_WIRE = {
    ConfigError,  # the process does not start
    EngineRefused,  # is translated first
    LeaseLost,  # stays inside the worker
    LimitsUnavailable,  # requests pass uncounted
}

RAISED_BASES = {
    EngineUnavailable,  # EngineTooSlow says more of the same
}


def leaves(kind: type[TuneryError]) -> Iterator[type[TuneryError]]:
    """Errors that are raised: those that nothing derives from."""
    if not kind.__subclasses__():
        yield kind
    for derived in kind.__subclasses__():
        yield from leaves(derived)


def test_every_error_that_a_client_can_see_has_a_status() -> None:
    seen = set(leaves(TuneryError)) - NEVER_ON_THE_WIRE | RAISED_BASES
    assert set(STATUSES) == seen


def test_only_errors_to_be_repeated_say_when() -> None:
    for kind, status in STATUSES.items():
        repeated = (status == 429 or status >= 500) and kind is not QuotaExceeded
        assert repeated == hasattr(kind, "retry_after_s")


def test_every_error_that_a_client_can_see_has_a_code() -> None:
    assert all(kind.code for kind in STATUSES)

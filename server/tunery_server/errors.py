"""Every error that Tunery raises on purpose.

::

    TuneryError
    ├── ConfigError            the settings cannot be used; the process does not start
    ├── RequestError           the request cannot be done, and repeating it will not help
    │   ├── InvalidRequest
    │   ├── Unauthenticated
    │   ├── PermissionDenied
    │   ├── NotFound
    │   ├── IdempotencyKeyReused
    │   ├── DestinationRefused
    │   ├── TooLarge
    │   ├── HeadersTooLarge
    │   ├── RequestTimeout
    │   ├── QuotaExceeded
    │   ├── AdapterDamaged
    │   └── UnsupportedMediaType
    ├── TryAgainLater          the request is fine, the server cannot do it now
    │   ├── Overloaded
    │   ├── RateLimited
    │   ├── EngineUnavailable
    │   ├── QueueUnavailable
    │   ├── RecordUnavailable
    │   ├── ServerStopping
    │   ├── StorageFull
    │   └── StorageUnavailable
    ├── LimitsUnavailable      nobody can say how much a caller has asked for
    ├── EngineRefused          the engine answered with an error of its own
    └── LeaseLost              this worker may no longer write to the job

HTTP statuses are not here: ``gateway/error_handlers.py`` holds the one table.
"""


class TuneryError(Exception):
    """Base of all. ``message`` is shown to clients, so it never holds a path, a key or a prompt."""

    code: str | None = None

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.param = param


class ConfigError(TuneryError):
    """A setting is unknown, malformed or contradicts another."""


class RequestError(TuneryError):
    """The caller has to change something first."""


class InvalidRequest(RequestError):
    """A field has the wrong type or a value that is not allowed."""

    code = "invalid_value"


class Unauthenticated(RequestError):
    """No key, or a key that is unknown or revoked."""

    code = "invalid_api_key"


class PermissionDenied(RequestError):
    """A valid key that does not carry the scope which the route wants."""

    code = "insufficient_permissions"


class NotFound(RequestError):
    """The object does not exist, or belongs to another tenant: the two look the same."""

    code = "not_found"


class IdempotencyKeyReused(RequestError):
    """The key belongs to a request with another body."""

    code = "idempotency_key_reused"


class DestinationRefused(RequestError):
    """A URL that the operator has not allowed webhooks to go to."""

    code = "destination_not_allowed"


class TooLarge(RequestError):
    """A body, a file or a line beyond its limit."""

    code = "request_too_large"


class HeadersTooLarge(RequestError):
    """A request's header beyond its limit, in bytes or in lines."""

    code = "headers_too_large"


class RequestTimeout(RequestError):
    """The client did not send the rest of its request in time."""

    code = "request_timeout"


class QuotaExceeded(RequestError):
    """The tenant has as much as it may have; waiting does not help."""

    code = "insufficient_quota"


class AdapterDamaged(RequestError):
    """The files of a published adapter are not what its manifest says."""

    code = "adapter_damaged"


class UnsupportedMediaType(RequestError):
    """A content type or encoding that the route does not read."""

    code = "unsupported_media_type"


class TryAgainLater(TuneryError):
    """``retry_after_s`` becomes the Retry-After header."""

    retry_after_s = 1

    def __init__(
        self, message: str, *, code: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message, code=code)
        if retry_after_s is not None:
            self.retry_after_s = retry_after_s


class Overloaded(TryAgainLater):
    """Every slot is taken and the waiting line is full."""

    code = "server_is_overloaded"


class RateLimited(TryAgainLater):
    """This caller has asked too often."""

    code = "rate_limit_exceeded"


class EngineUnavailable(TryAgainLater):
    """The engine is starting, restarting, or went away in the middle of a request."""

    code = "engine_restarting"
    retry_after_s = 5


class EngineTooSlow(EngineUnavailable):
    """The engine did not answer one request in time; others may be answered as ever."""


class QueueUnavailable(TryAgainLater):
    """Redis does not answer."""

    code = "server_is_overloaded"


class RecordUnavailable(TryAgainLater):
    """The SQL database does not answer, or another process keeps it locked."""

    code = "server_is_overloaded"


class ServerStopping(TryAgainLater):
    """This gateway ends; another one, or the next, answers."""

    code = "server_restarting"


class StorageFull(TryAgainLater):
    """The disk has no room."""

    code = "storage_full"
    retry_after_s = 60


class StorageUnavailable(TryAgainLater):
    """The object storage does not answer, refuses, or gave something else than was stored."""

    code = "storage_unavailable"
    retry_after_s = 5


class LimitsUnavailable(TuneryError):
    """Redis does not answer. Requests pass uncounted meanwhile, so no client sees this."""


class EngineRefused(TuneryError):
    """An HTTP error from the engine: ``status`` is its status, ``message`` its text."""

    def __init__(self, message: str, *, status: int, param: str | None = None) -> None:
        super().__init__(message, param=param)
        self.status = status


class LeaseLost(TuneryError):
    """The job was cancelled, or another attempt owns it."""

"""What is sent: the event as JSON, signed as the Standard Webhooks specification says.

The receiver's ``client.webhooks.unwrap(body, headers, secret=…)`` checks it.
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass

import orjson

from tunery_server import __version__
from tunery_server.records.rows import Delivery

_PREFIX = "whsec_"
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Message:
    """One HTTP request, but for where it goes."""

    body: bytes
    headers: dict[str, str]


def new_secret() -> str:
    """``whsec_`` and 256 random bits in base64."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def message_of(delivery: Delivery, now: float) -> Message:
    """The event, signed at ``now`` (Unix seconds); receivers refuse an old signature.

    The id stays the same however often it is sent, so that the receiver can tell a repeat.
    """
    body = orjson.dumps(
        {
            "id": delivery.event_id,
            "object": "event",
            "created_at": int(delivery.created_at),
            "type": delivery.type,
            "data": {"id": delivery.object_id},
        }
    )
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"tunery/{__version__}",
        "webhook-id": delivery.event_id,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": _signature(
            delivery.endpoint.secret, delivery.event_id, int(now), body
        ),
    }
    return Message(body, headers)


def _signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()

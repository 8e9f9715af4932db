"""The stock client believes what we sign, and nothing else."""

import base64
import time
from typing import get_args

import pytest
from openai import InvalidWebhookSignatureError, OpenAI
from openai.types.webhooks import UnwrapWebhookEvent

from tests.rows import NOW, an_endpoint
from tunery_server.records.rows import Delivery, EventType
from tunery_server.webhooks.signing import message_of, new_secret

CLIENT = OpenAI(api_key="none", base_url="http://nowhere")


def a_delivery(type: EventType = EventType.JOB_SUCCEEDED) -> Delivery:
    return Delivery(
        event_id="evt_1",
        endpoint=an_endpoint(secret=new_secret()),
        type=type,
        object_id="ftjob-1",
        created_at=NOW + 0.5,
        attempts=1,
    )


@pytest.mark.parametrize("type", EventType)
def test_the_stock_client_unwraps_every_event(type: EventType) -> None:
    delivery = a_delivery(type)
    message = message_of(delivery, time.time())
    event = CLIENT.webhooks.unwrap(message.body, message.headers, secret=delivery.endpoint.secret)
    assert type.value in {kind.model_fields["type"].annotation.__args__[0] for kind in KINDS}
    assert (event.id, event.type, event.object) == ("evt_1", type, "event")
    assert (event.created_at, event.data.id) == (int(NOW), "ftjob-1")  # type: ignore[union-attr]


KINDS = get_args(get_args(UnwrapWebhookEvent)[0])


@pytest.mark.parametrize("what", ["body", "webhook-id", "webhook-timestamp", "secret"])
def test_what_was_changed_on_the_way_is_refused(what: str) -> None:
    delivery = a_delivery()
    message = message_of(delivery, time.time())
    body = message.body + b" " * (what == "body")
    headers = dict(message.headers)
    if what in headers:
        headers[what] = headers[what][:-1] + chr(ord(headers[what][-1]) ^ 1)
    secret = new_secret() if what == "secret" else delivery.endpoint.secret
    with pytest.raises(InvalidWebhookSignatureError):
        CLIENT.webhooks.unwrap(body, headers, secret=secret)


def test_an_old_signature_is_refused_and_a_repeat_is_signed_anew() -> None:
    delivery = a_delivery()
    old, fresh = (message_of(delivery, time.time() - age) for age in (600, 0))
    with pytest.raises(InvalidWebhookSignatureError, match="too old"):
        CLIENT.webhooks.unwrap(old.body, old.headers, secret=delivery.endpoint.secret)
    CLIENT.webhooks.unwrap(fresh.body, fresh.headers, secret=delivery.endpoint.secret)
    assert old.headers["webhook-id"] == fresh.headers["webhook-id"]


def test_a_secret_is_256_random_bits() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    for secret in secrets:
        assert secret.startswith("whsec_")
        assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32

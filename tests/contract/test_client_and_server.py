"""Client and server share no code; this holds their types together."""

from tunery._adapters import Adapter
from tunery_server.gateway.protocol.models import DescribedAdapter


def test_the_client_knows_every_field_of_an_adapter() -> None:
    assert Adapter.model_fields.keys() == DescribedAdapter.model_fields.keys()

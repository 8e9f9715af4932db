"""Client and server share no code; this holds their types together."""

import pytest
from pydantic import BaseModel

from tunery import _estimates as client
from tunery._adapters import Adapter
from tunery_adapters import survey
from tunery_server.gateway.protocol import estimates as server
from tunery_server.gateway.protocol.models import DescribedAdapter

TYPES: list[tuple[type[BaseModel], type[BaseModel]]] = [
    (Adapter, DescribedAdapter),
    (client.JobEstimate, server.JobEstimate),
    (client.Tokens, server.EstimatedTokens),
    (client.Steps, server.EstimatedSteps),
    (client.Truncation, server.Truncation),
    (client.CutRow, survey.Truncated),
    (client.Memory, server.EstimatedMemory),
    (client.Seconds, server.EstimatedSeconds),
    (client.JobPreview, server.JobPreview),
    (client.PreviewRow, server.PreviewRow),
    (client.PreviewSequence, server.PreviewSequence),
    (client.PreviewToken, server.ShownToken),
    (client.Statistics, server.Statistics),
    (client.Lengths, survey.Lengths),
    (client.Bin, survey.Bin),
]


@pytest.mark.parametrize(("ours", "theirs"), TYPES, ids=lambda kind: kind.__name__)
def test_the_client_knows_every_field(ours: type[BaseModel], theirs: type[BaseModel]) -> None:
    assert ours.model_fields.keys() == theirs.model_fields.keys()

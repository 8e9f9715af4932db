"""A client of a dialect that goes away frees the real engine."""

import time
from typing import Any

import httpx2
import pytest

from tests.servers import MODEL_NAME, RunningServer

pytestmark = pytest.mark.engine

FREED_S = 10.0
"""Well before the answer would end; a quiet machine takes less than one."""
ENDLESS = {
    "type": "object",
    "properties": {"a": {"type": "string", "minLength": 6000}},
    "required": ["a"],
}
"""An answer that the model cannot end before its limit."""

FORMAT = {"type": "json_schema", "schema": ENDLESS}
ASKING: dict[str, dict[str, Any]] = {
    "/v1/responses": {"input": "hi", "text": {"format": {**FORMAT, "name": "s"}}},
    "/v1/messages": {
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 1500,
        "output_config": {"format": FORMAT},
    },
}


def gauge(http: httpx2.Client, name: str) -> float:
    """The sum of a metric over its labels."""
    lines = http.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def wait_for(http: httpx2.Client, name: str, value: float, *, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while gauge(http, name) != value:
        assert time.monotonic() < deadline, f"{name} is still not {value}"
        time.sleep(0.05)


@pytest.mark.promise("P19", fault="a client of the real engine goes amid its answer")
@pytest.mark.parametrize("path", ASKING)
def test_a_client_that_goes_away_frees_the_engine(server: RunningServer, path: str) -> None:
    body = {"model": MODEL_NAME, "stream": True, **ASKING[path]}
    with server.http() as http, server.http() as leaving:
        with leaving.stream("POST", path, json=body) as answer:
            assert answer.status_code == httpx2.codes.OK
            chunks = answer.iter_bytes()  # held, for the stream is closed when it goes
            assert next(chunks)
            wait_for(http, "vllm:num_requests_running", 1, timeout_s=FREED_S)
        wait_for(http, "tunery_requests_running", 0, timeout_s=FREED_S)
        wait_for(http, "vllm:num_requests_running", 0, timeout_s=FREED_S)
        made = gauge(http, "vllm:generation_tokens_total")
        time.sleep(1)
        assert gauge(http, "vllm:generation_tokens_total") == made

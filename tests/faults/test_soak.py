"""Everything at once, for half an hour (``make soak``) or as long as TUNERY_TEST_SOAK_S says.

Without it twenty seconds show that the apparatus works: what has to stay where it was in half an
hour has to do so in them, too, but for memory, whose slope needs its time.
"""

import asyncio
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.soak_load import under_load
from tests.faults.soak_samples import Sample, grown, look, slope, table
from tests.faults.stack import Stack, started
from tests.peft import write_peft_folder
from tests.rows import an_adapter
from tunery_adapters.manifest import Provenance
from tunery_adapters.store import AdapterStore
from tunery_server.supervisor.home import DEFAULT_TENANT

SHORT_S = 20.0
SECONDS = float(os.environ.get("TUNERY_TEST_SOAK_S", SHORT_S))
LONG_S = 400.0
"""From here on a slope means something."""
SAMPLES = 120
ADAPTERS = 10

pytestmark = [
    pytest.mark.training,
    pytest.mark.long,
    pytest.mark.once,
    pytest.mark.timeout(SECONDS + 900),
]

MIB_IN_TEN_MINUTES = 1.0
FLAT = {
    "gateway_fds": 16,
    "gateway_threads": 8,
    "gateway_tasks": 16,
    "worker_fds": 16,
    "worker_threads": 8,
    "redis_keys": 32,
}
"""By how much each may differ with what happens to go on at the moment of a sample."""
LOG_BYTES_A_REQUEST = 100


@pytest.fixture
def stack(tmp_path: Path, tiny_model: Path) -> Iterator[Stack]:
    with started(tmp_path / "home", tiny_model) as stack:
        stack.start_gateway()
        stack.worker.start()
        yield stack


def published(stack: Stack) -> str:
    """A new adapter of the default tenant; its name."""
    adapter = an_adapter(tenant_id=DEFAULT_TENANT, created_at=time.time())
    provenance = Provenance(
        adapter_id=adapter.adapter_id,
        version=adapter.version,
        model=adapter.model,
        base_model=adapter.base_model,
        tenant_id=adapter.tenant_id,
        created_at=adapter.created_at,
    )
    source = write_peft_folder(stack.home / "source")
    AdapterStore(stack.home / "adapters").publish(source, provenance)
    stack.adapters.add(adapter)
    return adapter.model


def tasks(stack: Stack) -> int:
    """What the gateway's event loop is at."""
    with stack.http() as http:
        found = re.search(r"^tunery_tasks (\S+)$", http.get("/metrics").text, re.MULTILINE)
    assert found
    return int(float(found[1]))


async def soak(stack: Stack, adapters: list[str]) -> tuple[list[Sample], list[str]]:
    """Samples, and all that was not as it was due."""
    samples: list[Sample] = []
    began = time.monotonic()
    async with under_load(stack, adapters) as load:
        while (at_s := time.monotonic() - began) < SECONDS:
            counted = await asyncio.to_thread(tasks, stack)
            samples.append(look(stack, at_s, load.answers.total(), counted))
            await asyncio.sleep(SECONDS / SAMPLES)
        print(dict(sorted(load.answers.items())))
    return samples, load.wrong


@pytest.mark.promise("P26", fault="chats, gone clients, jobs, bad input over ten adapters, 20 s")
def test_nothing_grows_but_what_is_kept(stack: Stack) -> None:
    adapters = [published(stack) for _ in range(ADAPTERS)]
    pids = [stack.gateway.pid, stack.worker.pid]
    samples, wrong = asyncio.run(soak(stack, adapters))
    print(f"\n{table(samples)}")
    print(
        {
            name: f"{slope(samples, name):+.2f} MiB in 10 min"
            for name in ("gateway_mib", "worker_mib")
        }
    )
    assert wrong == []
    assert [stack.gateway.pid, stack.worker.pid] == pids
    assert stack.gateway.running
    assert stack.worker.running
    assert {name: by for name, most in FLAT.items() if (by := grown(samples, name)) > most} == {}
    said = 2**10 * (samples[-1].logs_kib - samples[0].logs_kib)
    assert said <= LOG_BYTES_A_REQUEST * samples[-1].requests
    if SECONDS >= LONG_S:
        assert slope(samples, "gateway_mib") < MIB_IN_TEN_MINUTES
        assert slope(samples, "worker_mib") < MIB_IN_TEN_MINUTES

"""Two hundred clients that go away, one after the other, on real sockets."""

import asyncio
import gc
import os
import signal
import socket
import struct
import sys

import orjson
import pytest

from tests.engines import Fault

from .sockets import BODY, PATIENCE_S, Edge

ROUNDS = 50
KILLED_CLIENT = """
import socket, sys, time
client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
client.sendall(bytes.fromhex(sys.argv[2]))
time.sleep(60)
"""


async def leave_before_the_first_token(edge: Edge) -> None:
    await leave(edge, Fault.SLOW, stream=True)


async def leave_after_the_first_token(edge: Edge) -> None:
    await leave(edge, Fault.STALLS, stream=True)


async def leave_a_whole_answer(edge: Edge) -> None:
    await leave(edge, Fault.SLOW, stream=False)


async def leave_after_asking_for_more(edge: Edge) -> None:
    """The next request is already there, which must not hide that nobody waits for this one."""
    await leave(edge, Fault.SLOW, stream=False, more=edge.request("GET", "/v1/models") * 20)


async def leave(edge: Edge, fault: Fault, *, stream: bool, more: bytes = b"") -> None:
    engine = edge.gateway.engine
    engine.fault = fault
    engine.begun.clear()
    async with edge.connect() as (reader, writer):
        writer.write(edge.request(body=orjson.dumps({**BODY, "stream": stream})) + more)
        await engine.begun.wait()
        if fault is Fault.STALLS:
            await reader.readuntil(b"data: ")
        assert engine.running == 1
        if len(engine.requests) % 2:  # a reset instead of an orderly end, as after a crash
            writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )


async def leave_by_being_killed(edge: Edge) -> None:
    engine = edge.gateway.engine
    engine.fault = Fault.SLOW
    engine.begun.clear()
    request = edge.request(body=orjson.dumps({**BODY, "stream": True}))
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-c", KILLED_CLIENT, str(edge.port), request.hex())
    )
    await engine.begun.wait()
    assert engine.running == 1
    client.send_signal(signal.SIGKILL)
    await client.wait()


LEAVING = [
    (leave_before_the_first_token, ROUNDS),
    (leave_after_the_first_token, ROUNDS),
    (leave_a_whole_answer, ROUNDS),
    (leave_after_asking_for_more, 40),
    (leave_by_being_killed, 10),
]


@pytest.mark.promise("P19", fault="200 clients go, some killed: tasks, files, connections, places")
async def test_clients_that_go_free_the_engine_and_leave_nothing(edge: Edge) -> None:
    assert sum(rounds for _, rounds in LEAVING) == 200
    assert await edge.is_well()
    await edge.until_closed()
    before = await footprint()
    for act, rounds in LEAVING:
        for _ in range(rounds):
            await act(edge)
            await freed(edge)
    await edge.until_closed()
    tasks, files = await footprint()
    assert tasks <= before[0]
    assert files <= before[1]
    await assert_every_place_is_free(edge)


async def freed(edge: Edge) -> None:
    """The scripted engine answers nobody any more; by itself it would never end."""
    async with asyncio.timeout(PATIENCE_S):
        await edge.gateway.engine.idle.wait()
    assert edge.gateway.engine.running == 0


async def footprint() -> tuple[int, int]:
    """Tasks and open files of this process, once what has ended is gone."""
    gc.collect()  # earlier tests may have left files to it
    await asyncio.sleep(0.05)
    return len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))  # noqa: PTH208


async def assert_every_place_is_free(edge: Edge) -> None:
    engine = edge.gateway.engine
    engine.fault = Fault.SLOW
    places = edge.gateway.settings.max_concurrent_requests
    async with edge.http() as http:
        asking = [
            asyncio.create_task(http.post("/v1/chat/completions", json=BODY)) for _ in range(places)
        ]
        async with asyncio.timeout(PATIENCE_S):
            while engine.running < places:  # noqa: ASYNC110 - there is no event for that number
                await asyncio.sleep(0.005)
        engine.go.set()
        assert {answer.status_code for answer in await asyncio.gather(*asking)} == {200}


@pytest.mark.promise("P18", fault="the engine's answer breaks off, in three ways")
@pytest.mark.parametrize("fault", [Fault.CUT, Fault.DIES, Fault.BREAKS])
async def test_a_stream_always_says_how_it_ended(edge: Edge, fault: Fault) -> None:
    edge.gateway.engine.fault = fault
    async with edge.http() as http:
        answer = await http.post("/v1/chat/completions", json={**BODY, "stream": True})
    assert answer.status_code == 200
    *_, last = answer.text.strip().split("\n\n")
    error = orjson.loads(last.removeprefix("data: "))["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert "secret" not in answer.text
    assert edge.gateway.engine.running == 0


async def test_a_client_that_only_ends_its_sending_side_has_gone(edge: Edge) -> None:
    edge.gateway.engine.fault = Fault.SLOW
    async with edge.connect() as (_, writer):
        writer.write(edge.request(body=orjson.dumps(BODY)))
        await edge.gateway.engine.begun.wait()
        writer.write_eof()
        async with asyncio.timeout(PATIENCE_S):
            await edge.gateway.engine.idle.wait()


async def test_a_client_that_floods_its_next_requests_is_cut_off(edge: Edge) -> None:
    edge.gateway.engine.fault = Fault.SLOW
    async with edge.connect() as (_, writer):
        writer.write(edge.request(body=orjson.dumps(BODY)))
        await edge.gateway.engine.begun.wait()
        writer.write(edge.request("GET", "/v1/models") * 5000)
        async with asyncio.timeout(PATIENCE_S):
            await edge.gateway.engine.idle.wait()
    edge.gateway.engine.fault = Fault.NONE
    assert await edge.is_well()

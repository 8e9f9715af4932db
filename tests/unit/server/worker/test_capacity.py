"""What a worker offers beside the jobs that it runs."""

import os
from pathlib import Path

import pytest

from tunery_server.queue.contract import Need, Offer
from tunery_server.worker.capacity import Capacity, Memory, cuda_memory, system_memory

GIB = 2**30


class Machine:
    """A device of 24 GiB of which others use some, and a clock."""

    def __init__(self) -> None:
        self.free = 20 * GIB
        self.now = 0.0
        self.looks = 0

    def measure(self) -> Memory:
        self.looks += 1
        return Memory(24 * GIB, self.free)

    def timer(self) -> float:
        return self.now


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def capacity(machine: Machine) -> Capacity:
    return Capacity(slots=2, measure=machine.measure, timer=machine.timer)


def test_an_idle_worker_offers_all_that_is_free(capacity: Capacity) -> None:
    assert capacity.offer([]) == Offer(20 * GIB, 2, 20 * GIB, 2, 24 * GIB)


def test_a_job_counts_before_it_has_taken_its_memory(capacity: Capacity) -> None:
    capacity.offer([])
    assert capacity.offer([Need(8 * GIB)]) == Offer(12 * GIB, 1, 20 * GIB, 2, 24 * GIB)


def test_a_job_that_takes_more_than_was_thought_counts_as_it_is(
    capacity: Capacity, machine: Machine
) -> None:
    capacity.offer([])
    machine.now, machine.free = 11.0, 5 * GIB
    assert capacity.offer([Need(8 * GIB)]).memory_bytes == 5 * GIB


def test_a_job_that_would_make_room_counts_as_gone(capacity: Capacity, machine: Machine) -> None:
    capacity.offer([])
    machine.now, machine.free = 11.0, 2 * GIB
    needs = [Need(8 * GIB), Need(10 * GIB)]
    offer = capacity.offer(needs, leaving=needs[0])
    assert (offer.memory_bytes, offer.devices) == (10 * GIB, 1)


def test_it_is_measured_now_and_then(capacity: Capacity, machine: Machine) -> None:
    for _ in range(5):
        capacity.offer([])
    machine.now = 10.0
    capacity.offer([])
    assert machine.looks == 2


def test_memory_that_cannot_be_told_bounds_nothing() -> None:
    capacity = Capacity(slots=1, measure=Memory, timer=lambda: 0.0)
    assert capacity.offer([]) == Offer()
    assert capacity.offer([Need(GIB)]).devices == 0


def test_the_systems_memory_is_that_of_the_container(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 8388608 kB\nMemAvailable: 6291456 kB\nHugePages_Total: 0\n")
    assert system_memory(meminfo, tmp_path) == Memory(8 * GIB, 6 * GIB)
    (tmp_path / "memory.current").write_text(f"{GIB}\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert system_memory(meminfo, tmp_path) == Memory(8 * GIB, 6 * GIB)
    (tmp_path / "memory.max").write_text(f"{4 * GIB}\n")
    assert system_memory(meminfo, tmp_path) == Memory(4 * GIB, 3 * GIB)


def test_a_system_without_proc_tells_nothing(tmp_path: Path) -> None:
    assert system_memory(tmp_path / "none", tmp_path) == Memory()


@pytest.mark.parametrize(
    ("says", "memory"),
    [
        ("echo 81559, 76543", Memory(81559 * 2**20, 76543 * 2**20)),
        ("echo '[N/A], [N/A]'", Memory()),
        ("exit 9", Memory()),
    ],
)
def test_a_gpus_memory_is_what_the_driver_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, memory: Memory
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{says}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert cuda_memory() == memory


def test_without_the_drivers_tool_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert cuda_memory() == Memory()

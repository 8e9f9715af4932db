"""Whether a job fits the workers' machines, and what would."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from tunery_adapters import footprint
from tunery_adapters.base_model import BaseModel, BaseShape
from tunery_adapters.footprint import Load
from tunery_adapters.spec import LINEAR_MODULES, LoraSpec
from tunery_server.errors import InvalidRequest, QueueUnavailable
from tunery_server.jobs.hardware import Hardware
from tunery_server.queue.lanes import rounded
from tunery_server.records.rows import Job, JobMethod

LargestMachine: TypeAlias = Callable[[], int | None]
"""As :meth:`tunery_server.queue.contract.JobQueue.largest_machine`."""

_SHORTEST = 8
_LARGE_SHARE = 4
"""A quarter of the machine: the engine is to have its part, and other jobs theirs."""

MISFIT = "job_does_not_fit"
"""Code of the refusal of a job that fits no machine."""


class Fit:
    """Memory that jobs take, against what there is. Blocking."""

    def __init__(
        self, *, base: BaseModel, hardware: Hardware, largest_machine: LargestMachine
    ) -> None:
        self._base = base
        self._hardware = hardware
        self._largest_machine = largest_machine

    def memory_bytes(self, job: Job, longest: int) -> int:
        """What its trainer takes at most, with sequences of ``longest`` tokens; 0 if unknown."""
        base = self._base.shape()
        return footprint.memory_bytes(base, self._load(job, longest)) if base else 0

    def adapter_bytes(self, job: Job) -> int | None:
        """Size of the adapter that it makes; None if unknown."""
        base = self._base.shape()
        return footprint.adapter_bytes(base, LoraSpec(**job.lora)) if base else None

    def largest_machine(self) -> int | None:
        """Memory in bytes of the largest device that a worker told of; None if none did."""
        try:
            return self._largest_machine()
        except QueueUnavailable:
            return None

    def is_large(self, job: Job) -> bool:
        """Whether a job takes a good part of the largest machine, or does not fit it at all."""
        machine = self.largest_machine()
        return machine is not None and _LARGE_SHARE * job.memory_bytes > machine

    def check_targets(self, lora: LoraSpec) -> None:
        """Raises InvalidRequest for a module that is no linear layer of the base model."""
        base = self._base.shape()
        if base is None or lora.target_modules == LINEAR_MODULES:
            return
        unknown = sorted(set(lora.target_modules) - set(base.linear_names))
        if unknown:
            raise InvalidRequest(
                f"{', '.join(unknown)}: not a linear layer of the base model, which has "
                f"{', '.join(base.linear_names)}.",
                param="lora.target_modules",
            )

    def check(self, job: Job, longest: int) -> None:
        """Raises what :meth:`misfit` returns."""
        if refusal := self.misfit(job, longest):
            raise refusal

    def misfit(self, job: Job, longest: int) -> InvalidRequest | None:
        """Why a job fits no machine, and what would; None if it fits one.

        Nothing is refused while no worker has told of its machine.
        """
        base, machine = self._base.shape(), self.largest_machine()
        if base is None or machine is None:
            return None
        load = self._load(job, longest)
        needed = footprint.memory_bytes(base, load)
        # The queue counts by its lanes, whose needs are rounded up.
        return None if rounded(needed) <= machine else _refusal(base, load, needed, machine)

    def _load(self, job: Job, longest: int) -> Load:
        return Load(
            lora=LoraSpec(**job.lora),
            batch_size=job.hyperparameters["batch_size"],
            longest=longest,
            pairs=job.method is JobMethod.DPO,
            device=self._hardware.device,
            item_bytes=self._hardware.item_bytes,
        )


def _refusal(base: BaseShape, load: Load, needed: int, machine: int) -> InvalidRequest:
    """Names the field that has to change, and a value that would do, in the order of least harm."""

    def fits(changed: Load) -> bool:
        return rounded(footprint.memory_bytes(base, changed)) <= machine

    def size(changed: Load) -> str:
        return _shown(footprint.memory_bytes(base, changed))

    single = replace(load, batch_size=1)
    short = replace(single, longest=_SHORTEST)
    thin = replace(short, lora=load.lora.model_copy(update={"rank": 1}))
    if fits(single):
        batch = _largest(load.batch_size, lambda n: fits(replace(load, batch_size=n)))
        need = size(replace(load, batch_size=batch))
        param, hint = "hyperparameters.batch_size", f"batch_size {batch} would need {need}"
    elif fits(short):
        longest = _largest(load.longest, lambda n: fits(replace(single, longest=n)))
        need = size(replace(single, longest=longest))
        param = "training_file"
        hint = f"rows of up to {longest} tokens would need {need}; the longest has {load.longest}"
    elif fits(thin):
        param, hint = "lora.rank", f"rank 1 would need {size(thin)}"
    else:
        param, hint = "model", f"the base model by itself would need {size(thin)}"
    return InvalidRequest(
        f"The job would need {_shown(needed)} of memory, and the largest machine has "
        f"{_shown(machine)}: {hint}.",
        code=MISFIT,
        param=param,
    )


def _largest(below: int, fits: Callable[[int], bool]) -> int:
    """The largest number less than ``below`` that fits, of which 1 is one; by halving."""
    low, high = 1, below
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _shown(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"

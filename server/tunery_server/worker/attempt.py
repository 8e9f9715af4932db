"""One attempt at one job, from claim to outcome."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunery_adapters import fault
from tunery_adapters.fault import Point
from tunery_adapters.reports import Checkpoint, Finished
from tunery_adapters.spec import EvaluationSpec, LoraSpec, TrainingSpec
from tunery_server.errors import LeaseLost, QueueUnavailable
from tunery_server.files.blobs import BlobStore
from tunery_server.files.service import RESULTS, FileService
from tunery_server.ids import new_id
from tunery_server.jobs.line import Line
from tunery_server.jobs.transitions import FINAL
from tunery_server.queue.contract import JobQueue, Lease
from tunery_server.records.job_history import JobHistory
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import Adapter, File, Job, JobCheckpoint, JobStatus
from tunery_server.records.tenants import TenantPolicies
from tunery_server.worker import leftovers
from tunery_server.worker.outcome import recorded
from tunery_server.worker.publisher import Publisher
from tunery_server.worker.recorder import Recorder
from tunery_server.worker.results import results_csv
from tunery_server.worker.trainer import Trainer, TrainerFailed, TrainerStopped

WATCH_S = 0.5
"""How often a running attempt looks whether the job is still its own: bounds a cancel."""

_SILENT_RENEWALS = 3
"""Fewer than a lease has: a trainer whose worker is frozen ends before the job is another's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What an attempt works with."""

    jobs: JobRecords
    history: JobHistory
    files: FileService
    store: BlobStore
    queue: JobQueue
    line: Line
    policies: TenantPolicies
    publisher: Publisher
    folder: Path
    base_model_path: str
    max_length: int
    threads: int
    niceness: int
    renew_s: float
    clock: Callable[[], float]


class Attempt:
    """Runs a job that this worker holds the lease of."""

    def __init__(
        self,
        job: Job,
        lease: Lease,
        bench: Bench,
        *,
        after: "asyncio.Task[None] | None" = None,
    ) -> None:
        self._job = job
        self._lease = lease
        self._bench = bench
        self._folder = bench.folder / job.id
        self._recorder = Recorder(
            job,
            model=bench.publisher.final_model(job),
            jobs=bench.jobs,
            history=bench.history,
            clock=bench.clock,
        )
        self._trainer: Trainer | None = None
        self._stopping = False
        self._hurrying = False
        self._after = after
        """The attempt that makes room for this one."""

    async def run(self) -> None:
        """Train, publish, record. Never raises for what can go wrong with a job."""
        async with recorded(self._recorder):
            await self._while_ours(self._train_and_publish())
        await asyncio.to_thread(self._clean_up)

    def stop(self) -> None:
        """Let the trainer write a checkpoint and end; the job is paused, or goes back in line."""
        self._stopping = True
        if self._trainer is not None:
            self._trainer.stop()
            fault.point(Point.JOB_STOPPING)

    def hurry(self) -> None:
        """As :meth:`stop`, but without a checkpoint of now: the job goes on from its last one."""
        self._hurrying = True

    async def give_way(self) -> None:
        """As :meth:`stop`, and say why."""
        with contextlib.suppress(LeaseLost):
            await asyncio.to_thread(
                self._recorder.note, "The job makes room for one of a higher priority"
            )
        self.stop()

    async def _while_ours(self, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` beside the watches; whichever fails first ends the others."""
        try:
            async with asyncio.TaskGroup() as group:
                watches = [
                    group.create_task(self._keep_lease()),
                    group.create_task(self._watch_record()),
                    group.create_task(self._beat()),
                ]
                await work
                for watch in watches:
                    watch.cancel()
        except ExceptionGroup as group_error:
            raise _first(group_error) from None

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(self._bench.renew_s)
            try:
                held = await asyncio.to_thread(self._bench.queue.renew, self._lease)
            except QueueUnavailable:
                continue  # the record still says whose the job is
            if not held:
                raise LeaseLost("Another worker holds the job.")

    async def _beat(self) -> None:
        """While this worker is not frozen; without a queue, too."""
        while True:
            await asyncio.sleep(self._bench.renew_s)
            if self._trainer is not None:
                self._trainer.beat()

    async def _watch_record(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            job = await asyncio.to_thread(self._recorder.check)
            if self._hurrying:
                raise TrainerStopped
            if self._stopping or job.status is JobStatus.PAUSING:
                self.stop()  # each time: the trainer's process may have begun since the last look

    async def _train_and_publish(self) -> None:
        if self._after is not None:
            await asyncio.wait([self._after])
        spec, dataset = await asyncio.to_thread(self._prepare)
        fault.point(Point.JOB_FILES_COPIED)
        finished = await self._train(spec, dataset.sha256)
        metrics = await asyncio.to_thread(self._metrics_at, finished.step)
        adapter = await asyncio.to_thread(
            self._bench.publisher.publish,
            self._job,
            Path(finished.adapter_path),
            step=finished.step,
            dataset_sha256=dataset.sha256,
            metrics=metrics,
            checkpoint=False,
            work=finished,
        )
        await asyncio.to_thread(self._recorder.timing, published_at=self._bench.clock())
        if await self._bench.publisher.load(adapter):
            await asyncio.to_thread(self._recorder.timing, loaded_at=self._bench.clock())
        else:
            await asyncio.to_thread(
                self._recorder.note,
                "The engine does not answer; the adapter will be loaded by its first request",
                level="warn",
            )
        await asyncio.to_thread(self._succeed, adapter)

    def _prepare(self) -> tuple[TrainingSpec, File]:
        """Make the working folder; what to train, and the file's record."""
        self._folder.mkdir(parents=True, exist_ok=True)
        dataset = self._bench.files.get(self._job.tenant_id, self._job.training_file)
        return self._spec(dataset), dataset

    async def _train(self, spec: TrainingSpec, dataset_sha256: str) -> Finished:
        trainer = Trainer(
            spec,
            self._folder,
            niceness=self._bench.niceness,
            silence_s=self._bench.renew_s * _SILENT_RENEWALS,
        )
        self._trainer = trainer
        if self._stopping:
            raise TrainerStopped
        async with aclosing(trainer.reports()) as reports:
            async for report in reports:
                await asyncio.to_thread(self._recorder.report, report)
                if isinstance(report, Checkpoint):
                    await asyncio.to_thread(self._publish_checkpoint, report, dataset_sha256)
                if isinstance(report, Finished):
                    # The files are in place: the process need not be waited for.
                    return report
        raise TrainerFailed("trainer_error", "The trainer ended without a result.")

    def _publish_checkpoint(self, report: Checkpoint, dataset_sha256: str) -> None:
        metrics = {
            name: value
            for name, value in report.model_dump(exclude={"type", "adapter_path"}).items()
            if value is not None
        }
        adapter = self._bench.publisher.publish(
            self._job,
            Path(report.adapter_path),
            step=report.step,
            dataset_sha256=dataset_sha256,
            metrics=metrics,
            checkpoint=True,
        )
        checkpoint = JobCheckpoint(
            id=new_id("ftckpt_"),
            job_id=self._job.id,
            step=report.step,
            model=adapter.model,
            metrics=metrics,
            created_at=self._bench.clock(),
        )
        self._recorder.checkpoint(checkpoint, adapter)
        fault.point(Point.ADAPTER_REGISTERED)

    def _succeed(self, adapter: Adapter) -> None:
        """Store the result file; the final state makes it and the adapter visible."""
        results = self._bench.files.store(
            self._job.tenant_id,
            filename="step_metrics.csv",
            purpose=RESULTS,
            chunks=[results_csv(self._bench.history.metrics(self._job.id))],
        )
        try:
            self._recorder.succeed(adapter, results)
        except BaseException:
            self._bench.files.discard(results)
            raise

    def _metrics_at(self, step: int) -> dict[str, float]:
        """The last value of each metric up to a step."""
        last: dict[str, float] = {}
        for data in self._bench.history.metrics(self._job.id):
            if data["step"] > step:
                continue
            last |= {
                name: value for name, value in data.items() if name.startswith(("train_", "valid_"))
            }
        return last

    def _spec(self, dataset: File) -> TrainingSpec:
        job, bench = self._job, self._bench
        validation, parent = job.validation_file, bench.publisher.parent(job)
        return TrainingSpec(
            job_id=job.id,
            base_model_path=bench.base_model_path,
            training_file=str(bench.store.path(job.training_file)),
            validation_file=str(bench.store.path(validation)) if validation else None,
            output_dir=str(self._folder),
            seed=job.seed,
            lora=LoraSpec.model_validate(job.lora),
            max_length=bench.max_length,
            threads=bench.threads,
            format=dataset.data_format,
            evaluation=EvaluationSpec.model_validate(job.training or {}),
            initial_adapter=str(parent) if parent else None,
            **job.hyperparameters,
        )

    def _clean_up(self) -> None:
        """Give the lease back; put the job in line again or remove what is of no more use."""
        job = self._bench.jobs.get_any(self._job.id) or self._job
        ended = job.status in FINAL
        fault.point(Point.JOB_FINAL_WRITTEN if ended else Point.JOB_RELEASED)
        try:
            self._bench.queue.finish(self._lease)
            fault.point(Point.JOB_ACKED)
            if job.status is JobStatus.QUEUED:
                self._bench.line.put(job)
        except QueueUnavailable:
            pass  # the lease runs out, and the reconciler does the rest
        if ended:
            leftovers.remove(job, self._folder, self._bench.publisher)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The reason that matters most: losing the job outweighs whatever it led to."""
    lost, others = group.split(LeaseLost)
    chosen = lost or others
    assert chosen is not None  # noqa: S101 - a group is never empty
    error: BaseException = chosen.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error

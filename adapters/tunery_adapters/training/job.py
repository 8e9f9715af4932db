"""One fine-tuning job from its spec to its adapter."""

import hashlib
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event

import torch
from transformers import PreTrainedTokenizerBase

from tunery_adapters import fault
from tunery_adapters.fault import Point
from tunery_adapters.peft_files import WEIGHTS
from tunery_adapters.reports import Finished, Loaded, Plan, SkippedCheckpoint, Stopped
from tunery_adapters.spec import TEMPLATED, TrainingSpec
from tunery_adapters.training import data
from tunery_adapters.training.batches import Schedule
from tunery_adapters.training.checkpoint import ADAPTER, Checkpoints, Found, OnDamage, State
from tunery_adapters.training.examples import Dataset, Split
from tunery_adapters.training.export import read_initial
from tunery_adapters.training.loop import (
    Clock,
    Course,
    Loop,
    Report,
    StopRequestedError,
    check_stop,
    checkpoint_report,
)
from tunery_adapters.training.meter import Counter, Meter, energy_counter
from tunery_adapters.training.model import Precision, load_model
from tunery_adapters.training.objective import Likelihood, Preference
from tunery_adapters.training.optimizer import make_optimizer, peak_learning_rate
from tunery_adapters.training.reference import Reference
from tunery_adapters.training.sealed import move_synced
from tunery_adapters.training.steps import Learner
from tunery_adapters.training.tokenizer import load_tokenizer

_PLACES = {
    *("threads", "output_dir", "base_model_path", "training_file", "validation_file"),
    "initial_adapter",
}
_OPTIONS = ("format", "beta", "evaluation")
"""Counted where they are used, so that they change nothing for a job that does not use them."""


def run(
    spec: TrainingSpec,
    report: Report,
    stop: Event,
    clock: Clock,
    precision: Precision | None = None,
    energy: Counter | None = None,
) -> bool:
    """Train; True if finished, False if stopped with a checkpoint to go on from.

    A resumed job keeps the precision that it began with; ``energy`` is the device's own counter
    unless another one is given. Raises TrainingError and whatever torch
    raises; nothing is left half-written.
    """
    torch.set_num_threads(spec.threads)

    # Data first: a bad row is found before a large model is loaded.
    training, validation = _datasets(spec)

    # The model, as the job found it.
    checkpoints = Checkpoints(Path(spec.output_dir), _on_damage(report))
    found = checkpoints.newest(fingerprint(spec))
    if found:
        precision = Precision.named(found.state.dtype)
    precision = precision or Precision.here()
    learner = _learner(spec, precision)
    meter = Meter(clock.monotonic, energy or energy_counter(precision.device))
    course = _course(spec, training, validation, learner)

    # Say what will be done.
    report(_loaded(learner, precision, found))
    for split, dataset in _splits(course).items():
        report(dataset.report(split))
    report(_plan(course))
    if found and found.state.ends_epoch:
        report(checkpoint_report(found))  # the earlier run may have died before it could say so

    # What preferences are measured against, then the model as an earlier run left it.
    if spec.beta is not None:
        try:
            course = _referenced(spec, course, learner, stop)
        except StopRequestedError:
            report(Stopped(step=found.state.step if found else 0))
            return False
    if found:
        checkpoints.restore(found, learner.model, learner.optimizer)

    # Do it.
    state = found.state if found else State(job=fingerprint(spec), dtype=precision.dtype_name)
    loop = Loop(course, learner, checkpoints, state, report, stop, clock, meter)
    if not loop.run():
        return False
    report(_finish(spec, loop, checkpoints))
    return True


def fingerprint(spec: TrainingSpec) -> str:
    """Hash what makes two runs the same job: settings and rows, wherever the files lie."""
    fields = TrainingSpec.model_fields
    unused = {name for name in _OPTIONS if getattr(spec, name) == fields[name].default}
    digest = hashlib.sha256(spec.model_dump_json(exclude=_PLACES | unused).encode())
    digest.update(Path(spec.training_file).read_bytes())
    if spec.initial_adapter:
        digest.update((Path(spec.initial_adapter) / WEIGHTS).read_bytes())
    return digest.hexdigest()


def _datasets(spec: TrainingSpec) -> tuple[Dataset, Dataset | None]:
    tokenizer = load_tokenizer(spec.base_model_path, templated=spec.format in TEMPLATED)
    training = _read(spec, spec.training_file, "training", tokenizer)
    held_out = spec.validation_file
    return training, _read(spec, held_out, "validation", tokenizer) if held_out else None


def _read(
    spec: TrainingSpec, file: str, split: Split, tokenizer: PreTrainedTokenizerBase
) -> Dataset:
    length, format = spec.max_length, spec.format
    return data.load(Path(file), tokenizer, max_length=length, split=split, format=format)


def _on_damage(report: Report) -> OnDamage:
    return lambda name, reason: report(SkippedCheckpoint(name=name, reason=reason))


def _learner(spec: TrainingSpec, precision: Precision) -> Learner:
    torch.manual_seed(spec.seed)
    model = load_model(spec.base_model_path, spec.lora, precision, max_length=spec.max_length)
    if spec.initial_adapter:
        read_initial(model, Path(spec.initial_adapter))
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = make_optimizer(parameters, precision, quantized=spec.lora.quantization != "none")
    objective = Likelihood() if spec.beta is None else Preference(spec.beta)
    return Learner(model, optimizer, objective, precision, share_prefixes=spec.lora.dropout == 0)


def _course(
    spec: TrainingSpec, training: Dataset, validation: Dataset | None, learner: Learner
) -> Course:
    return Course(
        training=training,
        validation=validation,
        schedule=Schedule(len(training.examples), spec.batch_size, spec.n_epochs, spec.seed),
        peak_learning_rate=peak_learning_rate(
            learner.model.config,
            spec.learning_rate_multiplier,
            preferences=spec.beta is not None,
        ),
        evaluation=spec.evaluation,
    )


def _splits(course: Course) -> dict[Split, Dataset]:
    given: dict[Split, Dataset] = {"training": course.training}
    return {**given, "validation": course.validation} if course.validation else given


def _referenced(spec: TrainingSpec, course: Course, learner: Learner, stop: Event) -> Course:
    """The course with the reference's view of every pair. Raises StopRequestedError."""
    reference = Reference(Path(spec.output_dir), fingerprint(spec))
    known = reference.applied(_splits(course), learner, partial(check_stop, stop))
    return replace(course, training=known["training"], validation=known.get("validation"))


def _loaded(learner: Learner, precision: Precision, found: Found | None) -> Loaded:
    return Loaded(
        device=precision.device.type,
        dtype=precision.dtype_name,
        trainable_parameters=sum(parameter.numel() for parameter in learner.parameters()),
        resumed_from_step=found.state.step if found else None,
    )


def _plan(course: Course) -> Plan:
    schedule = course.schedule
    return Plan(
        total_steps=schedule.total_steps,
        steps_per_epoch=schedule.steps_per_epoch,
        n_epochs=schedule.n_epochs,
        batch_size=schedule.batch_size,
        learning_rate=course.peak_learning_rate,
    )


def _finish(spec: TrainingSpec, loop: Loop, checkpoints: Checkpoints) -> Finished:
    """Copy the adapter that is kept to ``output_dir/adapter``."""
    kept = _kept(spec, loop, checkpoints)
    adapter = Path(spec.output_dir) / ADAPTER
    staged = adapter.with_name(f".tmp-{ADAPTER}")
    shutil.rmtree(staged, ignore_errors=True)
    shutil.copytree(kept.folder / ADAPTER, staged)
    move_synced(staged, adapter)
    fault.point(Point.TRAIN_DONE)
    return Finished(
        step=kept.state.step,
        adapter_path=str(adapter),
        trained_tokens=loop.trained_tokens,
        last_step_at=loop.last_step_at,
        last_step=loop.state.step,
        stop_reason="early_stopping" if loop.stopped_early else "completed",
        valid_loss=kept.state.valid_loss,
        **loop.spent().model_dump(),
    )


def _kept(spec: TrainingSpec, loop: Loop, checkpoints: Checkpoints) -> Found:
    """The best checkpoint if that is wanted and it is whole, else the last step's."""
    best, job = loop.state.best_step, loop.state.job
    if spec.evaluation.keep == "best" and best is not None:
        found = checkpoints.of_step(job, best)
        if found:
            return found
    loop.save()
    last = checkpoints.of_step(job, loop.state.step)
    if last is None:
        raise OSError("the last checkpoint cannot be read back")
    return last
